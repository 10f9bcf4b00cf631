#include "train/row_lengths.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/rows.h"

namespace pith {

std::vector<float> row_lengths(const ModelTensor& t, const Parameter* a, const Parameter* b, float scale) {
  const dim rows = t.weight.rows, cols = t.weight.cols;
  std::vector<float> lengths(static_cast<std::size_t>(rows));
  parallel_ranges(rows, (dim(1) << 14) / cols + 1, [&](dim begin, dim end) {
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (dim r = begin; r < end; ++r) {
      decode_row(t, r, row.data());
      for (dim k = 0; a && k < a->rows; ++k)
        add_scaled(row.data(), a->values.as<float>() + k * cols, scale * b->values.as<float>()[r * a->rows + k], cols);
      double sum = 0;
      for (const float v : row) sum += double(v) * double(v);
      lengths[std::size_t(r)] = float(std::sqrt(sum));
    }
  });
  return lengths;
}

RowLengths::RowLengths(const ModelTensor& t)
    : t_(t), lengths_(std::size_t(t.weight.rows), 1), factors_(lengths_), gradient_(lengths_.size(), 0) {}

void RowLengths::publish(const float* m, const Parameter& a, const Parameter& b, float scale) {
  const std::vector<float> lengths = row_lengths(t_, &a, &b, scale);
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    lengths_[r] = lengths[r] > 0 ? lengths[r] : 1;
    factors_[r] = lengths[r] > 0 ? m[r] / lengths[r] : 1;
  }
}

void RowLengths::clear() { std::fill(gradient_.begin(), gradient_.end(), 0.0f); }

void RowLengths::add_to(float* of_m) const {
  for (std::size_t r = 0; r < gradient_.size(); ++r) of_m[r] += gradient_[r] / lengths_[r];
}

}  // namespace pith
