#include "serve/token_scores.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/logsumexp.h"

namespace pith {

TokenScore score_token(std::span<const float> logits, Token token, int count) {
  PITH_CHECK(token >= 0 && std::size_t(token) < logits.size() && count >= 0);
  const float max = scan_row(logits.data(), dim(logits.size())).max;
  const double log_sum = double(max) + std::log(sum_exp(logits.data(), dim(logits.size()), max));
  const auto logprob = [&](Token t) { return float(double(logits[std::size_t(t)]) - log_sum); };
  TokenScore score = {token, logprob(token), {}};
  if (count == 0) return score;
  std::vector<Token> best(std::min(std::size_t(count), logits.size()));
  std::vector<Token> ids(logits.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = Token(i);
  std::partial_sort_copy(ids.begin(), ids.end(), best.begin(), best.end(), [&](Token a, Token b) {
    const float x = logits[std::size_t(a)], y = logits[std::size_t(b)];
    return x != y ? x > y : a < b;
  });
  for (const Token t : best) score.likeliest.push_back({t, logprob(t)});
  return score;
}

}  // namespace pith
