// y = x W^T + bias for a weight of any kind. Many rows: panels of the weight are widened and packed, then
// multiplied. Few rows (decode): one pass over the stored weight. Same bits for any number of threads.
#pragma once
#include "core/weight.h"
#include "formats/sparse.h"  // weight_rows, weight_cols

namespace pith {

// Scratch memory, reused from call to call; independent of the model's size.
struct LinearWorkspace {
  Buffer packed;   // one panel, packed
  Buffer widened;  // per thread: 17 rows in f32
  dim size_bytes() const { return packed.size_bytes() + widened.size_bytes(); }
};

struct LinearCall {
  const Weight* weight = nullptr;  // (rows, cols)
  const float* bias = nullptr;     // (rows) or null
  const float* x = nullptr;        // (n, cols)
  dim n = 0;
  float* y = nullptr;  // (n, rows), row i at y + i * y_stride
  dim y_stride = 0;
  bool add = false;  // y += instead of y =
};
void linear(const LinearCall& call, LinearWorkspace& workspace);

}  // namespace pith
