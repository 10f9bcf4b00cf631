// Picks the next token from logits. The same options, logits and history give the same token everywhere.
#pragma once
#include <span>
#include <vector>

#include "core/rng.h"

namespace pith {

struct SamplerOptions {
  double temperature = 0;         // 0: the most likely token, the lowest id among equals
  dim top_k = 0;                  // keep the k most likely; 0: all
  double top_p = 1;               // then the fewest tokens whose probabilities reach p; 1: all
  double min_p = 0;               // then those with at least min_p times the highest probability
  double repetition_penalty = 1;  // logits of recent tokens are divided by it when positive, else multiplied
  dim repetition_window = 64;     // how many tokens back; 0: all
  std::uint64_t seed = 0;
};

// A token that may be drawn.
struct Candidate {
  Token token = -1;
  double logit = 0;
  double probability = 0;
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);  // Error(input) when an option is out of range
  // logits: (vocab), finite. history: the tokens before, newest last.
  Token sample(std::span<const float> logits, std::span<const Token> history);
  // What `sample` draws from, in a fixed order, until the next call; probabilities sum to 1.
  std::span<const Candidate> distribution(std::span<const float> logits, std::span<const Token> history);
  Token draw(std::span<const Candidate> candidates);
  Rng& rng() { return rng_; }

 private:
  void penalize(std::span<const Token> history);
  void keep_likely();
  void keep_top_p(double wanted);
  void keep_best();

  SamplerOptions options_;
  Rng rng_;
  std::vector<Candidate> candidates_;
  std::vector<char> seen_;  // (vocab)
};

}  // namespace pith
