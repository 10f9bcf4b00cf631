// The reverse divergence of whole answers, learned from answers that were drawn: MiniLLM's policy gradient
// (arXiv:2306.08543).
#pragma once
#include "train/losses/distill_rows.h"

namespace pith {

// p is the teacher's distribution, q the student's, y_t the token that was drawn. The reward of y_t is
// r_t = ln p(y_t) - ln q(y_t), its return R_t what later tokens get: the sum of their rewards, over their number where
// lengths are evened out. The gradient is that of KL(q_t, p_t), which is the reward of y_t itself over all that could
// have been drawn, less w_t R_t times that of ln q(y_t).
struct PolicyLoss {
  double teacher_mix = 0;   // tokens were drawn from teacher_mix p + (1 - teacher_mix) q; w_t = q(y_t) over that
  double most_reward = 10;  // rewards are cut to +- this
  bool even_lengths = true;
  bool centred = true;  // returns less their mean over the rows given, so that gradients vary less
};
void check_policy_loss(const PolicyLoss& loss);  // Error(input)

// What rows that were seen before leave to those that are seen next.
struct PolicyReturns {
  double rewards = 0;  // of the tokens of one answer that follow
};

// The places of answers, ascending, but later ones of the batch first: in each answer, after row i come `left[i]` more.
// rows.targets: y. teacher: (n, teacher_vocab) finite logits of the same first tokens. rows.logits become the gradient.
// Returns the weighted sum of KL(q_t, p_t).
double policy_rows(const PolicyLoss& loss, const DistillRows& rows, const TeacherLogits& teacher,
                   std::span<const dim> left, PolicyReturns& returns);

}  // namespace pith
