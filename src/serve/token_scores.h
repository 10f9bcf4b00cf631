// Log-probabilities of tokens, from logits as the model gives them: before temperature, penalties and cuts.
#pragma once
#include <span>
#include <vector>

#include "core/base.h"

namespace pith {

struct TokenScore {
  struct Other {
    Token token = -1;
    float logprob = 0;
  };
  Token token = -1;
  float logprob = 0;
  std::vector<Other> likeliest;  // the best first, the lowest id among equals
};

// logits: (vocab), finite; token inside it. `count` likeliest ones, or all there are.
TokenScore score_token(std::span<const float> logits, Token token, int count);

}  // namespace pith
