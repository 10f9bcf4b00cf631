#include "model/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace pith {

Sampler::Sampler(const SamplerOptions& o) : options_(o), rng_(o.seed) {
  const auto check = [](bool good, const char* name, const char* range, double got) {
    if (!good) throw input_error(name, "expected {}, got {}", range, got);
  };
  check(o.temperature >= 0 && std::isfinite(o.temperature), "temperature", "a number from 0", o.temperature);
  check(o.top_k >= 0, "top-k", "a number from 0", double(o.top_k));
  check(o.top_p > 0 && o.top_p <= 1, "top-p", "a number above 0, up to 1", o.top_p);
  check(o.min_p >= 0 && o.min_p <= 1, "min-p", "a number in 0 ... 1", o.min_p);
  check(o.repetition_penalty > 0 && std::isfinite(o.repetition_penalty), "repetition-penalty", "a number above 0",
        o.repetition_penalty);
  check(o.repetition_window >= 0, "repetition-window", "a number from 0", double(o.repetition_window));
}

void Sampler::penalize(std::span<const Token> history) {
  if (options_.repetition_penalty == 1) return;
  if (options_.repetition_window > 0 && dim(history.size()) > options_.repetition_window)
    history = history.last(std::size_t(options_.repetition_window));
  seen_.assign(candidates_.size(), 0);
  for (const Token t : history) {
    if (t < 0 || std::size_t(t) >= seen_.size() || seen_[std::size_t(t)]) continue;
    seen_[std::size_t(t)] = 1;
    double& logit = candidates_[std::size_t(t)].logit;
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
  }
}

// Sorts the candidates and drops the unlikely ones; at least one stays.
void Sampler::keep_likely() {
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  std::size_t keep = candidates_.size();
  if (options_.top_k > 0) keep = std::min(keep, std::size_t(options_.top_k));
  std::partial_sort(candidates_.begin(), candidates_.begin() + std::ptrdiff_t(keep), candidates_.end(), likelier);
  candidates_.resize(keep);
  double sum = 0;
  for (Candidate& c : candidates_)
    sum += c.probability = std::exp((c.logit - candidates_[0].logit) / options_.temperature);
  std::size_t n = 0;
  for (double reached = 0; n < keep && (n == 0 || reached < options_.top_p * sum); ++n)
    reached += candidates_[n].probability;
  while (n > 1 && candidates_[n - 1].probability < options_.min_p * candidates_[0].probability) --n;
  candidates_.resize(n);
}

Token Sampler::sample(std::span<const float> logits, std::span<const Token> history) {
  PITH_CHECK(!logits.empty());
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) candidates_.push_back({Token(i), double(logits[i]), 0});
  penalize(history);
  if (options_.temperature == 0)
    return std::max_element(candidates_.begin(), candidates_.end(),
                            [](const Candidate& a, const Candidate& b) { return a.logit < b.logit; })
        ->token;
  keep_likely();
  double sum = 0;
  for (const Candidate& c : candidates_) sum += c.probability;
  double left = rng_.uniform() * sum;
  for (const Candidate& c : candidates_) {
    left -= c.probability;
    if (left < 0) return c.token;
  }
  return candidates_.back().token;
}

}  // namespace pith
