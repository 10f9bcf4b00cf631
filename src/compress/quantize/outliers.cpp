#include "compress/quantize/outliers.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/half.h"

namespace pith {

OptionSpec outlier_percent_option(std::string_view default_value) {
  return {.name = "outliers",
          .default_value = default_value,
          .help = "percent of each row that is kept apart in float16",
          .choices = {},
          .low = 0,
          .high = 100};
}

OutlierShape outliers_of_each_row(dim cols, const Options& options) {
  const double share = options.number("outliers") / 100;
  if (share == 0) return {};
  return {std::clamp<dim>(std::lround(share * double(cols)), 1, cols), false};
}

void largest_scores(std::span<const double> scores, std::span<std::int32_t> columns) {
  PITH_CHECK(columns.size() <= scores.size());
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = order.begin() + std::ptrdiff_t(columns.size());
  std::partial_sort(order.begin(), kept, order.end(), [&](std::int32_t a, std::int32_t b) {
    const double x = scores[std::size_t(a)], y = scores[std::size_t(b)];
    return x > y || (x == y && a < b);
  });
  std::sort(order.begin(), kept);
  std::copy(order.begin(), kept, columns.begin());
}

void fill_gaps(std::span<const std::int32_t> apart, std::span<float> values, std::span<float> weights) {
  double sum = 0;
  dim others = 0;
  for (std::size_t i = 0; i < apart.size(); ++i) {
    if (apart[i] > 0) continue;
    sum += double(values[i]);
    ++others;
  }
  const float mean = others > 0 ? float(sum / double(others)) : 0.0f;
  for (std::size_t i = 0; i < apart.size(); ++i)
    if (apart[i] > 0) values[i] = mean, weights[i] = 0;
}

float as_stored_apart(float value) { return f16_to_f32(f32_to_f16(std::clamp(value, -65504.0f, 65504.0f))); }

void keep_apart(const LayerTask& task, dim row, const float* wanted, float* decoded) {
  const Format& f = *task.format;
  f.decode(f, task.out + row * row_bytes(f, task.cols), task.cols, decoded);
  for (dim i = row * task.outliers; i < (row + 1) * task.outliers; ++i) {
    const std::int32_t c = task.outlier_columns[i];
    task.outlier_values[i] = as_stored_apart(wanted[c] - decoded[c]);
    decoded[c] += task.outlier_values[i];
  }
}

}  // namespace pith
