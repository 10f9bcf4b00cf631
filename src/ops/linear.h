// y = x W^T + bias for a weight in any format. Many rows: panels of the weight are widened and packed, then
// multiplied. Few rows (decode): one pass over the encoded weight. Same bits for any number of threads.
#pragma once
#include "core/weight.h"

namespace pith {

// Scratch memory, reused from call to call; independent of the model's size.
struct LinearWorkspace {
  Buffer packed;   // one panel, packed
  Buffer widened;  // per thread: 16 rows in f32
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

dim weight_rows(const Weight& weight);
dim weight_cols(const Weight& weight);

}  // namespace pith
