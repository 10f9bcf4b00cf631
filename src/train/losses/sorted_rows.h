// The loss of rows of logits against a teacher of other tokens: probabilities are compared by rank (universal logit
// distillation, ULD, arXiv:2402.12030).
#pragma once
#include <span>

#include "train/losses/distill_rows.h"

namespace pith {

// With p and q the probabilities in falling order, the shorter filled up with zeros: sum |p_k - q_k|, from 0 to 2, the
// cost of transport between them where any two tokens are equally far apart. It says how sure the student is to be, not
// of what: cross_entropy says that.
struct SortedLoss {
  double temperature = 1;      // as DistillLoss
  double cross_entropy = 0.5;  // share of the loss, above 0
};
void check_sorted_loss(const SortedLoss& loss);            // Error(input)
std::string describe_sorted_loss(const SortedLoss& loss);  // "0.5 uld + 0.5 cross_entropy"

// teacher: a row of (teacher_vocab) finite logits for each; null: none is known, and the row has its cross-entropy
// only. rows.logits become the gradient. The weighted sum.
double sorted_rows(const SortedLoss& loss, const DistillRows& rows, std::span<const float* const> teacher,
                   dim teacher_vocab);

}  // namespace pith
