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
  const auto likelier = [&](Token a, Token b) { return logits[std::size_t(a)] > logits[std::size_t(b)]; };
  std::vector<Token>
      best;  // likeliest first, the lower id among equals; few, so that most tokens are passed by at once
  for (Token t = 0; std::size_t(t) < logits.size(); ++t) {
    const bool full = best.size() == std::size_t(count);
    if (full && !likelier(t, best.back())) continue;
    if (full) best.pop_back();
    best.insert(std::upper_bound(best.begin(), best.end(), t, likelier), t);
  }
  for (const Token t : best) score.likeliest.push_back({t, logprob(t)});
  return score;
}

}  // namespace pith
