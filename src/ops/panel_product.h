// y = x W^T + bias from panels, with x rounded to 8 bits, one scale for 32 columns. Several weights of the same inputs
// at once, so that the inputs are rounded once and the threads meet once. Same bits for any number of threads, for any
// instruction set, and for a row of x alone or among others.
#pragma once
#include <span>

#include "core/buffer.h"
#include "ops/panel_weight.h"

namespace pith {

struct PanelProduct {
  const PanelWeight* weight = nullptr;
  const float* bias = nullptr;  // (rows) or null
  float* y = nullptr;           // (n, rows), row i at y + i * y_stride
  dim y_stride = 0;
  bool add = false;  // y += instead of y =
};

struct PanelWorkspace {
  Buffer inputs;  // x rounded, once per kind of weight
  Buffer tiles;   // per thread: an unpacked panel
  dim size_bytes() const { return inputs.size_bytes() + tiles.size_bytes(); }
};

// x: (n, cols), row i at x + i * x_stride.
void panel_products(std::span<const PanelProduct> products, const float* x, dim x_stride, dim n,
                    PanelWorkspace& workspace);

}  // namespace pith
