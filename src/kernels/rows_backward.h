// The backward pass of the element-wise work of rows.h, single-threaded, with sums as there.
#pragma once
#include "kernels/rows.h"

namespace pith {

// dx = or += the gradient of norm_row's x; mean and scale are what it subtracted and multiplied by.
struct NormBackwardCall {
  const float* x = nullptr;  // (n), finite
  dim n = 0;
  const float* weight = nullptr;  // or null
  float plus = 0;
  double eps = 1e-5;
  bool centred = false;
  const float* dy = nullptr;  // (n)
  float* dx = nullptr;        // (n); may be dy
  bool add = false;
};
struct NormScale {
  float mean = 0, scale = 0;
};
NormScale norm_row_backward(const NormBackwardCall& call);

// Of out = act(gate) * up: dup = dy * act(gate) and dgate = dy * up * act'(gate). up and dup are null where there is no
// up. Each of the results may lie where one of the operands does.
void activate_backward(ActivationKernel kind, const float* gate, const float* up, const float* dy, dim n, float* dgate,
                       float* dup);

// The transpose of rotate.
void rotate_back(float* x, const float* cosine, const float* sine, dim half, bool neighbours);

}  // namespace pith
