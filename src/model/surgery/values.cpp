#include "model/surgery/values.h"

#include <algorithm>

#include "core/parallel.h"
#include "formats/format.h"

namespace pith {

void set_values(ModelTensor& t, dim rows, dim cols, const std::byte* values) {
  t.weight.format = &f32_format();
  t.weight.rows = rows;
  t.weight.cols = cols;
  t.weight.data = values;
  t.shape = {rows, cols};
  t.outliers.reset();
  t.sparse.reset();
}

std::vector<float> decoded(const ModelTensor& t) {
  std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
  for (dim r = 0; r < t.weight.rows; ++r) decode_row(t, r, out.data() + r * t.weight.cols);
  return out;
}

Buffer product(const ModelTensor* base, const ModelTensor& outer, const ModelTensor& inner) {
  const dim rows = outer.weight.rows, rank = outer.weight.cols, cols = inner.weight.cols;
  const std::vector<float> right = decoded(inner);
  Buffer out(rows * cols * dim(sizeof(float)));
  parallel_ranges(rows, 8, [&](dim begin, dim end) {
    std::vector<float> left(static_cast<std::size_t>(rank));
    std::vector<float> row(static_cast<std::size_t>(cols));
    std::vector<double> sum(static_cast<std::size_t>(cols));
    for (dim r = begin; r < end; ++r) {
      decode_row(outer, r, left.data());
      std::fill(sum.begin(), sum.end(), 0.0);
      if (base) {
        decode_row(*base, r, row.data());
        std::copy(row.begin(), row.end(), sum.begin());
      }
      for (dim k = 0; k < rank; ++k) {
        const double factor = double(left[std::size_t(k)]);
        const float* from = right.data() + k * cols;
        for (dim c = 0; c < cols; ++c) sum[std::size_t(c)] += factor * double(from[c]);
      }
      std::copy(sum.begin(), sum.end(), out.as<float>() + r * cols);
    }
  });
  return out;
}

}  // namespace pith
