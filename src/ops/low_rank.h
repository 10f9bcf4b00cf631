// A matrix of low rank beside a weight (LoRA, arXiv:2106.09685): y += scale * (x A^T) B^T, and its backward pass.
// Products are f32 in blocks of one size: the same bits for any number of threads.
#pragma once
#include "core/buffer.h"

namespace pith {

struct LowRankTerm {
  const float* a = nullptr;  // (rank, cols)
  const float* b = nullptr;  // (rows, rank)
  dim rank = 0, rows = 0, cols = 0;
  float scale = 1;
  // (rows): of each row of W + scale B A, before the bias (DoRA, arXiv:2402.09353); null: 1. What is below is of the
  // sum alone; `linear` and `linear_backward` take factors into account.
  const float* row_factors = nullptr;
};

// x (n, cols), dense; row i of y, (rows), at y + i * y_stride.
void add_low_rank(const LowRankTerm& term, const float* x, dim n, float* y, dim y_stride, Buffer& scratch);

struct LowRankBackwardCall {
  const LowRankTerm* term = nullptr;
  const float* x = nullptr;   // (n, cols), dense; null where da is
  const float* dy = nullptr;  // (n, rows), dense
  dim n = 0;
  float* dx = nullptr;                 // (n, cols), added to; null: not wanted
  float *da = nullptr, *db = nullptr;  // as a and b, added to; both or none
};
void low_rank_backward(const LowRankBackwardCall& call, Buffer& scratch);

}  // namespace pith
