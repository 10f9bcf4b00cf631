#include "ops/integer_product.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/half.h"
#include "formats/grid.h"
#include "kernels/int8_product.h"
#include "ops/act/act_rows.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kFewRows = 8;                // below: one pass over the stored rows of the weight
constexpr dim kPanelBytes = dim(4) << 20;  // of packed codes; stays in the shared cache
constexpr dim kRowBlock = 64;              // rows of x that a thread takes at once

struct Shape {
  Grid grid;
  dim cols, padded, group, groups;  // `group` in whole fours: padded where a row is one group
  explicit Shape(const Encoded& w)
      : grid(grid_of(*w.format, w.cols)),
        cols(w.cols),
        padded((w.cols + 3) / 4 * 4),
        group(std::min(grid.group == w.cols ? padded : grid.group, padded)),
        groups(padded / group) {}
};

// The rows of a weight as they are unpacked, one at a time: a thread's scratch memory.
struct Row {
  std::vector<std::uint8_t> codes;
  std::vector<float> scale, min;
  std::vector<std::int32_t> zero;
  explicit Row(const Shape& s)
      : codes(std::size_t(s.padded)), scale(std::size_t(s.groups)), min(scale.size()), zero(scale.size()) {}

  void load(const Encoded& w, const Shape& s, dim r) {
    const std::byte* at = w.data + r * row_bytes(*w.format, w.cols);
    for (dim g = 0; g < s.groups; ++g) {
      const GridGroup group = read_group(*w.format, s.grid, at, g, codes.data() + g * s.group);
      scale[std::size_t(g)] = f16_to_f32(group.scale_bits);
      min[std::size_t(g)] = f16_to_f32(group.min_bits);
      zero[std::size_t(g)] = group.zero;
    }
  }
  float value(const Shape& s, dim c) const {
    const auto g = std::size_t(c / s.group);
    return float(int(codes[std::size_t(c)]) - zero[g]) * scale[g] + min[g];
  }
  Int8Weight view(const Shape& s) const {
    return {codes.data(), scale.data(), zero.data(), s.grid.kind == GridKind::minimum ? min.data() : nullptr};
  }
};

// 16 rows of a weight, packed: codes, then scales, zeros and minima.
struct PackedRows {
  explicit PackedRows(const Shape& shape) : s(shape) {}
  dim bytes() const { return kInt8Width * (s.padded + 12 * s.groups); }
  std::uint8_t* codes(std::byte* p) const { return reinterpret_cast<std::uint8_t*>(p); }
  float* scale(std::byte* p) const { return reinterpret_cast<float*>(p + kInt8Width * s.padded); }
  std::int32_t* zero(std::byte* p) const {
    return reinterpret_cast<std::int32_t*>(p + kInt8Width * (s.padded + 4 * s.groups));
  }
  float* min(std::byte* p) const { return reinterpret_cast<float*>(p + kInt8Width * (s.padded + 8 * s.groups)); }

  void put(const Row& row, dim lane, std::byte* p) const {
    for (dim k = 0; k < s.padded; k += 4)
      std::copy_n(row.codes.data() + k, 4, codes(p) + (k / 4 * kInt8Width + lane) * 4);
    for (dim g = 0; g < s.groups; ++g) {
      scale(p)[g * kInt8Width + lane] = row.scale[std::size_t(g)];
      zero(p)[g * kInt8Width + lane] = row.zero[std::size_t(g)];
      min(p)[g * kInt8Width + lane] = row.min[std::size_t(g)];
    }
  }
  const Shape& s;
};

class Product {
 public:
  Product(const LinearCall& call, LinearWorkspace& ws)
      : call_(call), w_(std::get<Encoded>(*call.weight)), shape_(w_), ws_(ws) {
    const dim n = call.n;
    ws.inputs.reserve(n * (4 * shape_.groups + 4 + shape_.padded));
    x_.sums = ws.inputs.as<std::int32_t>();
    x_.scales = reinterpret_cast<float*>(x_.sums + n * shape_.groups);
    x_.codes = reinterpret_cast<std::int8_t*>(x_.scales + n);
    encode_act_rows(*call.act, call.act_scale, call.x, n, shape_.cols, shape_.group, shape_.padded, x_);
    outliers_ = act_outliers(*call.act, call.x, n, shape_.cols);
    if (outliers_.empty()) return;
    outlier_slot_.assign(std::size_t(shape_.cols), -1);
    for (const dim c : outliers_.column)
      if (outlier_slot_[std::size_t(c)] < 0) {
        outlier_slot_[std::size_t(c)] = dim(outlier_columns_.size());
        outlier_columns_.push_back(c);
      }
  }

  void run() { call_.n < kFewRows ? few_rows() : many_rows(); }

 private:
  // weight_at(column): of row r of the weight
  template <class WeightAt>
  void finish(dim i, dim r, float sum, const WeightAt& weight_at) const {
    float value = sum * x_.scales[i];
    for (dim o = outliers_.first[std::size_t(i)]; o < outliers_.first[std::size_t(i + 1)]; ++o)
      value += outliers_.value[std::size_t(o)] * weight_at(outliers_.column[std::size_t(o)]);
    if (call_.bias) value += call_.bias[r];
    float* y = call_.y + i * call_.y_stride + r;
    *y = call_.add ? *y + value : value;
  }

  void few_rows() const {
    parallel_ranges(w_.rows, grain_of(w_.cols * (call_.n + 2)), [&](dim begin, dim end) {
      Row row(shape_);
      for (dim r = begin; r < end; ++r) {
        row.load(w_, shape_, r);
        for (dim i = 0; i < call_.n; ++i) {
          const float sum = int8_row_product(row.view(shape_), shape_.groups, shape_.group,
                                             x_.codes + i * shape_.padded, x_.sums + i * shape_.groups);
          finish(i, r, sum, [&](dim c) { return row.value(shape_, c); });
        }
      }
    });
  }

  void many_rows() {
    const PackedRows packed(shape_);
    const dim blocks = (w_.rows + kInt8Width - 1) / kInt8Width;
    const dim panel = std::clamp<dim>(kPanelBytes / packed.bytes(), 1, blocks);
    ws_.packed.reserve(panel * packed.bytes());
    const dim outlier_bytes = dim(outlier_columns_.size()) * kInt8Width * dim(sizeof(float));
    if (outlier_bytes > 0) ws_.widened.reserve(panel * outlier_bytes);
    for (dim first = 0; first < blocks; first += panel) {
      const dim count = std::min(panel, blocks - first);
      pack(packed, first, count);
      multiply(packed, first, count);
    }
  }

  void pack(const PackedRows& packed, dim first, dim count) const {
    parallel_ranges(count, grain_of(kInt8Width * w_.cols), [&](dim begin, dim end) {
      Row row(shape_);
      for (dim b = begin; b < end; ++b)
        for (dim lane = 0; lane < kInt8Width; ++lane) {
          // Lanes past the last row repeat it; their sums are left alone.
          row.load(w_, shape_, std::min(w_.rows - 1, (first + b) * kInt8Width + lane));
          packed.put(row, lane, ws_.packed.data() + b * packed.bytes());
          for (std::size_t o = 0; o < outlier_columns_.size(); ++o)
            outlier_weights(b)[o * kInt8Width + std::size_t(lane)] = row.value(shape_, outlier_columns_[o]);
        }
    });
  }

  float* outlier_weights(dim block) const {  // (columns, 16)
    return ws_.widened.as<float>() + block * dim(outlier_columns_.size()) * kInt8Width;
  }

  void multiply(const PackedRows& packed, dim first, dim count) const {
    const dim tasks = (call_.n + kRowBlock - 1) / kRowBlock * count;
    parallel_for(
        tasks,
        [&](dim task) {
          const dim i = task / count * kRowBlock, block = task % count, m = std::min(kRowBlock, call_.n - i);
          std::byte* p = ws_.packed.data() + block * packed.bytes();
          float sums[kRowBlock * kInt8Width];
          int8_product({.w = {packed.codes(p), packed.scale(p), packed.zero(p),
                              shape_.grid.kind == GridKind::minimum ? packed.min(p) : nullptr},
                        .groups = shape_.groups,
                        .group = shape_.group,
                        .x = x_.codes + i * shape_.padded,
                        .x_sums = x_.sums + i * shape_.groups,
                        .m = m,
                        .y = sums});
          const dim row = (first + block) * kInt8Width, rows = std::min(kInt8Width, w_.rows - row);
          const float* outliers = outlier_columns_.empty() ? nullptr : outlier_weights(block);
          for (dim j = 0; j < m; ++j)
            for (dim lane = 0; lane < rows; ++lane)
              finish(i + j, row + lane, sums[j * kInt8Width + lane],
                     [&](dim c) { return outliers[outlier_slot_[std::size_t(c)] * kInt8Width + lane]; });
        },
        grain_of(kRowBlock * kInt8Width * w_.cols / 8));
  }

  const LinearCall& call_;
  const Encoded& w_;
  Shape shape_;
  LinearWorkspace& ws_;
  ActCodes x_;
  ActOutliers outliers_;
  std::vector<dim> outlier_slot_;     // of each column: into outlier_columns_
  std::vector<dim> outlier_columns_;  // of any row of x
};

}  // namespace

bool is_integer_product(const LinearCall& call) {
  const auto* encoded = std::get_if<Encoded>(call.weight);
  if (!encoded || !call.act || call.act->codes != ActPlan::Codes::integer) return false;
  const Grid grid = grid_of(*encoded->format, encoded->cols);
  return grid.kind != GridKind::none && grid.bits <= 8 && grid.group <= kInt8LongestGroup - 4;
}

void integer_product(const LinearCall& call, LinearWorkspace& workspace) {
  PITH_CHECK(is_integer_product(call));
  Product(call, workspace).run();
}

}  // namespace pith
