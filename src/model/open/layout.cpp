#include "model/open/layout.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "formats/format.h"
#include "io/printable.h"

namespace pith {

namespace {

// to (cols, rows) = from (rows, cols), values of `bytes` bytes each; square tiles, so that both stay in the cache.
void turn(const std::byte* from, dim rows, dim cols, dim bytes, std::byte* to) {
  constexpr dim kTile = 32;
  parallel_for((cols + kTile - 1) / kTile, [&](dim tile) {
    const dim first = tile * kTile, last = std::min(cols, first + kTile);
    for (dim top = 0; top < rows; top += kTile)
      for (dim c = first; c < last; ++c)
        for (dim r = top; r < std::min(rows, top + kTile); ++r)
          std::memcpy(to + (c * rows + r) * bytes, from + (r * cols + c) * bytes, std::size_t(bytes));
  });
}

}  // namespace

void turn_conv1d(ModelTensor& t) {
  Encoded& w = t.weight;
  const bool dense = w.format == &f32_format() || w.format == &f16_format() || w.format == &bf16_format();
  if (!dense || t.shape.size() != 2)
    throw input_error(printable(t.name), "expected a matrix in f32, f16 or bf16, got {} of shape {}", w.format->name,
                      shape_text(t.shape));
  const dim bytes = w.format == &f32_format() ? 4 : 2;
  Buffer turned(w.rows * w.cols * bytes);
  turn(w.data, w.rows, w.cols, bytes, turned.data());
  w.owned = std::move(turned);
  w.data = w.owned.data();
  std::swap(w.rows, w.cols);
  std::swap(t.shape[0], t.shape[1]);
}

std::vector<ModelTensor> expert_slices(ModelTensor stacked, dim experts) {
  if (stacked.shape.size() != 3 || stacked.shape[0] != experts)
    throw input_error(printable(stacked.name), "expected a stack of {} matrices, one for each expert, found shape {}",
                      experts, shape_text(stacked.shape));
  std::vector<ModelTensor> slices;
  const dim rows = stacked.shape[1], cols = stacked.shape[2];
  for (dim e = 0; e < experts; ++e) {
    ModelTensor& t = slices.emplace_back();
    t.name = stacked.name;
    t.expert = e;
    t.shape = {rows, cols};
    t.weight.format = stacked.weight.format;
    t.weight.data = stacked.weight.data + e * rows * row_bytes(*stacked.weight.format, cols);
    set_shape(t);
  }
  return slices;
}

}  // namespace pith
