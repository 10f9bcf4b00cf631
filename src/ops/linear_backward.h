// The backward pass of `linear`: dx = dy W, dW = dy^T x, db = sum of dy. Products are f32; bf16 for weights of bf16 on
// processors that multiply it, as in the forward pass. Same bits for any number of threads.
#pragma once
#include "ops/linear.h"

namespace pith {

// Scratch memory, reused from call to call.
struct LinearBackwardWorkspace {
  Buffer weight;    // a panel widened to f32
  Buffer narrowed;  // operands in bf16
  Buffer squared;   // operands squared
  Buffer low_rank;
  Buffer scaled;    // dy times row factors
  Buffer unscaled;  // y without them
  LinearWorkspace forward;
  dim size_bytes() const {
    return weight.size_bytes() + narrowed.size_bytes() + squared.size_bytes() + low_rank.size_bytes() +
           scaled.size_bytes() + unscaled.size_bytes() + forward.size_bytes();
  }
};

struct LinearBackwardCall {
  const Weight* weight = nullptr;  // (rows, cols)
  const float* x = nullptr;        // (n, cols), dense: the input; null where dweight is
  const float* dy = nullptr;       // (n, rows), dense
  dim n = 0;
  float* dx = nullptr;  // (n, cols), dense, = or +=; null: not wanted
  bool add = false;
  float* dweight = nullptr;               // (rows, cols), added to; null: not wanted
  float* dbias = nullptr;                 // (rows), added to; null: not wanted
  bool squares = false;                   // dweight gets, for each row of x, the square of its part dy^T x instead
  const LowRankTerm* low_rank = nullptr;  // added to the matrix; null: nothing
  float *dlow_rank_a = nullptr, *dlow_rank_b = nullptr;  // added to; null: not wanted
  float* drow_factors = nullptr;                         // (rows), added to; null: not wanted
};
void linear_backward(const LinearBackwardCall& call, LinearBackwardWorkspace& workspace);

}  // namespace pith
