#include "model/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace pith {

namespace {
bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}
}  // namespace

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

// The fewest of the likeliest whose probabilities reach `wanted`, sorted. Mostly few are, so few are sorted at first.
void Sampler::keep_top_p(double wanted) {
  std::size_t sorted = std::min<std::size_t>(256, candidates_.size());
  for (;;) {
    const auto end = candidates_.begin() + std::ptrdiff_t(sorted);
    std::partial_sort(candidates_.begin(), end, candidates_.end(), likelier);
    std::size_t n = 0;
    for (double reached = 0; n < sorted && (n == 0 || reached < wanted); ++n) reached += candidates_[n].probability;
    if (n < sorted || sorted == candidates_.size()) return candidates_.resize(n);
    sorted = candidates_.size();
  }
}

// Drops the unlikely ones; at least one stays.
void Sampler::keep_likely() {
  if (options_.top_k > 0 && std::size_t(options_.top_k) < candidates_.size()) {
    const auto end = candidates_.begin() + std::ptrdiff_t(options_.top_k);
    std::partial_sort(candidates_.begin(), end, candidates_.end(), likelier);
    candidates_.erase(end, candidates_.end());
  }
  const double best = std::min_element(candidates_.begin(), candidates_.end(), likelier)->logit;
  double sum = 0;
  for (Candidate& c : candidates_) sum += c.probability = std::exp((c.logit - best) / options_.temperature);
  if (options_.top_p < 1) keep_top_p(options_.top_p * sum);
  if (options_.min_p > 0)
    std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < options_.min_p; });
}

void Sampler::keep_best() {
  const auto best = std::max_element(candidates_.begin(), candidates_.end(),
                                     [](const Candidate& a, const Candidate& b) { return a.logit < b.logit; });
  candidates_ = {{best->token, best->logit, 1}};
}

std::span<const Candidate> Sampler::distribution(std::span<const float> logits, std::span<const Token> history) {
  PITH_CHECK(!logits.empty());
  candidates_.clear();
  if (options_.temperature == 0 && options_.repetition_penalty == 1) {
    const auto best = std::max_element(logits.begin(), logits.end());
    candidates_.push_back({Token(best - logits.begin()), double(*best), 1});
    return candidates_;
  }
  for (std::size_t i = 0; i < logits.size(); ++i) candidates_.push_back({Token(i), double(logits[i]), 0});
  penalize(history);
  if (options_.temperature == 0) {
    keep_best();
    return candidates_;
  }
  keep_likely();
  double sum = 0;
  for (const Candidate& c : candidates_) sum += c.probability;
  for (Candidate& c : candidates_) c.probability /= sum;
  return candidates_;
}

Token Sampler::draw(std::span<const Candidate> candidates) {
  if (candidates.size() == 1) return candidates[0].token;
  double left = rng_.uniform();
  for (const Candidate& c : candidates) {
    left -= c.probability;
    if (left < 0) return c.token;
  }
  return candidates.back().token;
}

Token Sampler::sample(std::span<const float> logits, std::span<const Token> history) {
  return draw(distribution(logits, history));
}

}  // namespace pith
