// The feed-forward network's activation, gated or not.
#pragma once
#include "core/base.h"
#include "kernels/rows.h"

namespace pith {

struct GateRows {
  ActivationKernel kind = ActivationKernel::silu;
  const float* gate = nullptr;  // (n, cols), row i at gate + i * stride
  const float* up = nullptr;    // likewise; null: not gated
  dim n = 0, cols = 0, stride = 0;
  float* out = nullptr;  // (n, cols), dense; may be gate where stride == cols
};
void gate_rows(const GateRows& call);  // out = act(gate) * up

}  // namespace pith
