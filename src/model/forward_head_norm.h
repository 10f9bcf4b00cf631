// The norm of queries or keys.
#pragma once
#include "kernels/rows.h"
#include "model/model.h"

namespace pith {

struct HeadNorm {
  const Norm& norm;
  const Config& config;
  void operator()(float* x, dim heads) const {
    if (!norm.weight) return;
    const bool whole = config.head_norms == HeadNorms::whole;
    const dim width = whole ? heads * config.head_dim : config.head_dim;
    const dim step = config.head_norms == HeadNorms::each ? width : 0;  // of weights, from head to head
    for (dim h = 0; h < (whole ? 1 : heads); ++h) {
      float* head = x + h * width;
      norm_row({.x = head,
                .n = width,
                .weight = norm.weight + h * step,
                .bias = norm.bias ? norm.bias + h * step : nullptr,
                .plus = config.norm_plus_one ? 1.0f : 0.0f,
                .eps = config.norm_eps,
                .centred = config.norm == NormKind::layer,
                .out = head});
    }
  }
};

}  // namespace pith
