// The backward pass of norm_rows.
#pragma once
#include <vector>

#include "kernels/rows_backward.h"
#include "ops/norm.h"

namespace pith {

struct NormRowsBackward {
  const float* x = nullptr;  // (n, cols), dense: what norm_rows read; finite
  dim n = 0, cols = 0;
  const float* weight = nullptr;  // (cols) or null
  bool layer_norm = false, plus_one = false;
  double eps = 1e-5;
  const float* dy = nullptr;  // (n, cols), dense
  float* dx = nullptr;        // (n, cols) = or +=; may be dy where no gradient of weight or bias is asked for
  bool add = false;
  float* dweight = nullptr;  // (cols), added to; null: not wanted
  float* dbias = nullptr;
};
// scratch: reused from call to call.
void norm_rows_backward(const NormRowsBackward& call, std::vector<NormScale>& scratch);

}  // namespace pith
