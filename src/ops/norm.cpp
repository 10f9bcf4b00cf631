#include "ops/norm.h"

#include <atomic>

#include "kernels/rows.h"
#include "ops/parts.h"

namespace pith {

bool norm_rows(const NormRows& c) {
  std::atomic<bool> finite = true;
  parallel_ranges(c.n, grain_of(c.cols), [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) {
      const NormCall row = {.x = c.x + i * c.stride,
                            .n = c.cols,
                            .weight = c.weight,
                            .bias = c.bias,
                            .plus = c.plus_one ? 1.0f : 0.0f,
                            .eps = c.eps,
                            .centred = c.layer_norm,
                            .out = c.out + i * c.out_stride};
      if (!norm_row(row)) finite = false;
    }
  });
  return finite;
}

}  // namespace pith
