// The loss of rows of logits against a teacher's, with its gradient.
#pragma once
#include <span>

#include "train/losses/divergence.h"

namespace pith {

struct DistillLoss {
  const Divergence* divergence = nullptr;
  DivergenceOptions options = {};
  double temperature = 1;    // both distributions' logits are divided by it, and the divergence times its square
  double cross_entropy = 0;  // how much of the loss is -ln p of the text's own tokens; the rest is the divergence
};
void check_distill_loss(const DistillLoss& loss);    // Error(input)
std::string describe_loss(const DistillLoss& loss);  // "0.9 jsd (beta 0.5) + 0.1 cross_entropy"

// All of a teacher's logits.
struct TeacherLogits {
  const float* logits = nullptr;  // (n, vocab), finite
  dim vocab = 0;
};

// What was kept of a teacher's distributions: its likeliest tokens, and the rest as one.
struct TeacherTop {
  const Token* tokens = nullptr;  // (n, k), different in each row
  const float* log_p = nullptr;   // (n, k + 1), the last of all other tokens together
  dim k = 0;
};

struct DistillRows {
  float* logits = nullptr;  // (n, vocab), finite; become the gradient
  dim n = 0, vocab = 0;
  std::span<const Token> targets;  // (n), of the vocabulary
  double weight = 1;               // of each row in the loss
};

// The weighted sum. Of vocabularies padded to different sizes the divergence sees what both have.
double distill_rows(const DistillLoss& loss, const DistillRows& rows, const TeacherLogits& teacher);
// Against the kept: both distributions over k tokens and the rest, whose parts in the student are not told apart. Only
// at temperature 1, since the rest's parts are not known.
double distill_rows(const DistillLoss& loss, const DistillRows& rows, const TeacherTop& teacher);

}  // namespace pith
