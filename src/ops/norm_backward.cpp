#include "ops/norm_backward.h"

#include "core/error.h"
#include "ops/parts.h"

namespace pith {

// Each column by one thread, row after row, so that no sum depends on the split.
static void weight_gradients(const NormRowsBackward& c, const std::vector<NormScale>& scales) {
  constexpr dim kColumns = 16;  // of one thread, at least: a cache line is one thread's
  parallel_ranges(c.cols, std::max(kColumns, grain_of(c.n)), [&](dim begin, dim end) {
    for (dim i = 0; i < c.n; ++i) {
      const NormScale s = scales[std::size_t(i)];
      const float *x = c.x + i * c.cols, *dy = c.dy + i * c.cols;
      if (c.dweight)
        for (dim j = begin; j < end; ++j) c.dweight[j] += dy[j] * ((x[j] - s.mean) * s.scale);
      if (c.dbias)
        for (dim j = begin; j < end; ++j) c.dbias[j] += dy[j];
    }
  });
}

void norm_rows_backward(const NormRowsBackward& c, std::vector<NormScale>& scales) {
  const bool wants_more = c.dweight || c.dbias;
  PITH_CHECK(!(wants_more && c.dx == c.dy));
  scales.resize(std::size_t(c.n));
  parallel_for(
      c.n,
      [&](dim i) {
        scales[std::size_t(i)] = norm_row_backward({.x = c.x + i * c.cols,
                                                    .n = c.cols,
                                                    .weight = c.weight,
                                                    .plus = c.plus_one ? 1.0f : 0.0f,
                                                    .eps = c.eps,
                                                    .centred = c.layer_norm,
                                                    .dy = c.dy + i * c.cols,
                                                    .dx = c.dx + i * c.cols,
                                                    .add = c.add});
      },
      grain_of(4 * c.cols));
  if (wants_more) weight_gradients(c, scales);
}

}  // namespace pith
