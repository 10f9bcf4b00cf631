// The backward pass of gate_rows.
#pragma once
#include "ops/gate.h"

namespace pith {

struct GateRowsBackward {
  ActivationKernel kind = ActivationKernel::silu;
  const float* gate = nullptr;  // (n, cols), row i at gate + i * stride
  const float* up = nullptr;    // likewise; null: not gated
  dim n = 0, cols = 0, stride = 0;
  const float* dy = nullptr;  // (n, cols), dense
  float* dgate = nullptr;     // as gate lies, and may be gate
  float* dup = nullptr;       // as up lies, and may be up; null where up is
};
void gate_rows_backward(const GateRowsBackward& call);

}  // namespace pith
