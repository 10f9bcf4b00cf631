// What follows the last block: the norm and the head, for some rows of the residual stream, and backwards.
#pragma once
#include <span>
#include <vector>

#include "model/backward/block_backward.h"
#include "ops/linear_backward.h"
#include "ops/norm_backward.h"

namespace pith {

class Head {
 public:
  explicit Head(const Network& network);  // views

  // rows: of hidden, (tokens, hidden). The logits of those, (n, vocab), valid until the next call and the caller's to
  // overwrite. Error(input) where they are not finite.
  float* logits(const float* hidden, std::span<const dim> rows);
  // Of the last logits, whose gradient `dlogits` (n, vocab) is changed: writes the rows of gradient, (tokens, hidden),
  // and adds to the wanted ones; null: not wanted.
  void backward(float* dlogits, float* gradient, float* lm_head, const Gradient& output_norm);

 private:
  Network net_;
  const Config& config_;
  std::vector<dim> rows_;
  Buffer picked_, normed_, dnormed_, dpicked_, logits_, capped_;
  LinearWorkspace linear_;
  LinearBackwardWorkspace linear_backward_;
  std::vector<NormScale> norm_scratch_;
};

}  // namespace pith
