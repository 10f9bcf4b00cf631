// RMS and layer norms over rows.
#pragma once
#include "core/base.h"

namespace pith {

struct NormRows {
  const float* x = nullptr;  // (n, cols), row i at x + i * stride
  dim n = 0, cols = 0, stride = 0;
  const float* weight = nullptr;  // (cols) or null
  const float* bias = nullptr;    // (cols) or null
  bool layer_norm = false;        // subtract the mean
  bool plus_one = false;          // weights are stored as w - 1
  double eps = 1e-5;
  float* out = nullptr;  // (n, cols), row i at out + i * out_stride; may be x
  dim out_stride = 0;
};
// False when a value of x is not finite.
[[nodiscard]] bool norm_rows(const NormRows& call);

}  // namespace pith
