#include "serve/speculative.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "io/printable.h"

namespace pith {

namespace {

double probability_of(std::span<const Candidate> candidates, Token token) {
  for (const Candidate& c : candidates)
    if (c.token == token) return c.probability;
  return 0;
}

std::string spelled(const Tokenizer& tokenizer, Token token) {
  return tokenizer.is_special(token) ? tokenizer.decode({&token, 1}, false) : tokenizer.piece(token);
}

}  // namespace

Verdict verify_guess(std::span<const Candidate> target, std::span<const Candidate> draft, Token guess, Rng& rng) {
  PITH_CHECK(!target.empty());
  const double p = probability_of(target, guess), q = probability_of(draft, guess);
  PITH_CHECK(q > 0);
  if (p >= q || (p > 0 && rng.uniform() * q < p)) return {guess, true};
  std::vector<Candidate> by_token(draft.begin(), draft.end());
  const auto earlier = [](const Candidate& a, const Candidate& b) { return a.token < b.token; };
  std::sort(by_token.begin(), by_token.end(), earlier);
  std::vector<Candidate> residual;
  double sum = 0;
  for (const Candidate& c : target) {
    const auto other = std::lower_bound(by_token.begin(), by_token.end(), c, earlier);
    const bool found = other != by_token.end() && other->token == c.token;
    const double left = c.probability - (found ? other->probability : 0);
    if (left <= 0) continue;
    residual.push_back({c.token, c.logit, left});
    sum += left;
  }
  // Both sum to 1 and p < q for the guess, so something is left, but for rounding.
  if (residual.empty()) return {target[0].token, false};
  double at = rng.uniform() * sum;
  for (const Candidate& c : residual)
    if ((at -= c.probability) < 0) return {c.token, false};
  return {residual.back().token, false};
}

void check_draft(const Model& model, const Model& draft) {
  const Tokenizer &a = model.tokenizer(), &b = draft.tokenizer();
  const char* hint = "the draft must be of the same family, or the same model with fewer bits";
  if (a.vocab_size() != b.vocab_size())
    throw Error(Blame::input, "draft", fmt::format("expected {} tokens, got {}", a.vocab_size(), b.vocab_size()), hint);
  for (Token t = 0; t < Token(a.vocab_size()); ++t)
    if (spelled(a, t) != spelled(b, t))
      throw Error(
          Blame::input, "draft",
          fmt::format("expected token {} to be {}, got {}", t, printable(spelled(a, t)), printable(spelled(b, t))),
          hint);
}

}  // namespace pith
