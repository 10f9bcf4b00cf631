#include "train/grid_scales.h"

#include <algorithm>
#include <cstring>

#include "core/half.h"
#include "core/parallel.h"

namespace pith {

namespace {

constexpr dim kRowsAtOnce = 16;
constexpr float kMostHalf = 65504;

// One row with other scales.
void scale_row(const ModelTensor& t, const Grid& grid, dim row, const float* factors, std::uint8_t* codes,
               std::byte* out) {
  const Format& f = *t.weight.format;
  const dim bytes = row_bytes(f, t.weight.cols);
  const std::byte* from = t.weight.data + row * bytes;
  std::memcpy(out, from, std::size_t(bytes));
  for (dim g = 0; g < t.weight.cols / grid.group; ++g) {
    GridGroup group = read_group(f, grid, from, g, codes);
    group.scale_bits = f32_to_f16(std::clamp(f16_to_f32(group.scale_bits) * factors[g], -kMostHalf, kMostHalf));
    write_group(f, grid, group, codes, g, out);
  }
}

}  // namespace

bool has_grid_scales(const ModelTensor& t) {
  return t.layer >= 0 && is_linear_matrix(t) && t.part == Part::weight && !t.turn && !t.outliers && !t.sparse &&
         grid_of(*t.weight.format, t.weight.cols).kind != GridKind::none;
}

dim grid_groups(const ModelTensor& t) { return t.weight.cols / grid_of(*t.weight.format, t.weight.cols).group; }

Buffer scaled_rows(const ModelTensor& t, const float* factors) {
  const Grid grid = grid_of(*t.weight.format, t.weight.cols);
  const dim bytes = row_bytes(*t.weight.format, t.weight.cols), groups = grid_groups(t);
  Buffer out(t.weight.rows * bytes);
  parallel_ranges(t.weight.rows, kRowsAtOnce, [&](dim begin, dim end) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(grid.group));
    for (dim r = begin; r < end; ++r) scale_row(t, grid, r, factors + r * groups, codes.data(), out.data() + r * bytes);
  });
  return out;
}

GridScales::GridScales(const ModelTensor& t, const Format& computed)
    : t_(t), gradient_(t.weight.rows * t.weight.cols * dim(sizeof(float))) {
  weight_.format = &computed;
  weight_.rows = t.weight.rows;
  weight_.cols = t.weight.cols;
  weight_.owned = Buffer(t.weight.rows * row_bytes(computed, t.weight.cols));
  weight_.data = weight_.owned.data();
}

void GridScales::publish(const float* factors) {
  const Format& stored = *t_.weight.format;
  const Grid grid = grid_of(stored, t_.weight.cols);
  const dim cols = t_.weight.cols, groups = grid_groups(t_), bytes = row_bytes(*weight_.format, cols);
  parallel_ranges(t_.weight.rows, kRowsAtOnce, [&](dim begin, dim end) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(grid.group));
    std::vector<std::byte> row(std::size_t(row_bytes(stored, cols)));
    std::vector<float> values(static_cast<std::size_t>(cols));
    for (dim r = begin; r < end; ++r) {
      scale_row(t_, grid, r, factors + r * groups, codes.data(), row.data());
      stored.decode(stored, row.data(), cols, values.data());
      weight_.format->encode(*weight_.format, values.data(), nullptr, cols, RangeSearch{},
                             weight_.owned.data() + r * bytes);
    }
  });
}

void GridScales::clear() {
  const dim cols = t_.weight.cols;
  parallel_ranges(t_.weight.rows, kRowsAtOnce,
                  [&](dim begin, dim end) { std::fill(gradient() + begin * cols, gradient() + end * cols, 0.0f); });
}

void GridScales::add_to(float* of_factors) const {
  const Format& stored = *t_.weight.format;
  const Grid grid = grid_of(stored, t_.weight.cols);
  const dim cols = t_.weight.cols, groups = grid_groups(t_), bytes = row_bytes(stored, cols);
  parallel_ranges(t_.weight.rows, kRowsAtOnce, [&](dim begin, dim end) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(grid.group));
    for (dim r = begin; r < end; ++r)
      for (dim g = 0; g < groups; ++g) {
        const GridGroup group = read_group(stored, grid, t_.weight.data + r * bytes, g, codes.data());
        const float* of_values = gradient_.as<float>() + r * cols + g * grid.group;
        double sum = 0;
        for (dim j = 0; j < grid.group; ++j)
          sum += double(of_values[j]) * double(int(codes[std::size_t(j)]) - group.zero);  // zero: 0 beside a minimum
        of_factors[r * groups + g] += float(sum * double(f16_to_f32(group.scale_bits)));
      }
  });
}

}  // namespace pith
