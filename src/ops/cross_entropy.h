// Cross-entropy of rows of logits with the tokens that came, and its gradient.
#pragma once
#include <span>

#include "core/base.h"

namespace pith {

struct CrossEntropyRows {
  float* logits = nullptr;  // (n, vocab), finite; become the gradient
  dim n = 0, vocab = 0;
  std::span<const Token> targets;  // (n), of the vocabulary
  double weight = 1;               // of each row in the loss
};
// The sum of weight * -ln p(target).
double cross_entropy_backward(const CrossEntropyRows& call);

}  // namespace pith
