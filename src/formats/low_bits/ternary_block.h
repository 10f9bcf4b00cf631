// What tq1_0 and tq2_0 share: 256 values of -1, 0, 1 times one scale. Codes are 0, 1, 2.
#pragma once
#include "formats/block_codec.h"

namespace pith {

struct Ternary {
  static constexpr dim kBlock = 256;
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 0); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return kernels::search_kernels().even_scale(x, w, kBlock, 1, plan);
  }
  static void codes(const float* x, Grid d, std::uint8_t* out) {
    kernels::search_kernels().codes(x, kBlock, d, 0.0f, -1, 1, out);
  }
  static std::uint8_t code(Grid d, float value) {
    std::uint8_t c;
    kernels::search_kernels().codes(&value, 1, d, 0.0f, -1, 1, &c);
    return c;
  }
  static float value(Grid d, std::uint8_t code) { return float(int(code) - 1) * d; }
};

}  // namespace pith
