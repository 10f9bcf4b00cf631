#include "compress/encode_tensor.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compress/policy.h"
#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

constexpr dim kPanelBytes = dim(64) << 20;

void encode_dense(const EncodeTask& task, dim rows, const float* values, std::byte* out) {
  const dim cols = task.source.cols(), bytes = row_bytes(task.format, cols);
  parallel_for(
      rows,
      [&](dim r) { task.format.encode(task.format, values + r * cols, nullptr, cols, RangeSearch{}, out + r * bytes); },
      rows_for_a_thread(cols));
}

Error overflow(const EncodeTask& task, const std::byte* encoded_row, dim row) {
  std::vector<float> decoded(static_cast<std::size_t>(task.source.cols()));
  task.format.decode(task.format, encoded_row, task.source.cols(), decoded.data());
  return Error(Blame::input, task.source.tensor().name,
               fmt::format("expected values that {} can hold, got {} after encoding", task.format.name,
                           first_not_finite(decoded.data(), 1, task.source.cols(), row)),
               "name a format with a wider range for this tensor");
}

}  // namespace

dim TensorEncoder::panel_rows(const EncodeTask& task) {
  const dim row_f32_bytes = std::max<dim>(1, task.source.cols() * dim(sizeof(float)));
  return std::clamp<dim>(kPanelBytes / row_f32_bytes, 1, std::max<dim>(1, task.source.rows()));
}

dim TensorEncoder::working_bytes(const EncodeTask& task) {
  const dim values = panel_rows(task) * task.source.cols() * dim(sizeof(float));
  return task.source.dithered() ? 2 * values : values;
}

void TensorEncoder::encode(const EncodeTask& task, dim begin, dim end, std::byte* out, ErrorSums& sums) {
  const dim rows = end - begin, cols = task.source.cols();
  PITH_CHECK(rows <= panel_rows(task) && fits(task.format, cols));
  values_.reserve(rows * cols * dim(sizeof(float)));
  float* values = values_.as<float>();
  task.source.load(begin, end, values);
  if (task.source.dithered()) {
    plain_.reserve(rows * cols * dim(sizeof(float)));
    task.source.load_plain(begin, end, plain_.as<float>());
  }
  if (task.source.verbatim())
    task.source.copy_encoded(begin, end, out);
  else if (is_dense(task.format))
    encode_dense(task, rows, values, out);
  else
    task.method.layer({values, rows, cols, &task.format, task.importance, out}, task.options);
  measure(task, begin, end, out, sums);
  task.source.release(begin, end);
}

void TensorEncoder::measure(const EncodeTask& task, dim begin, dim end, const std::byte* encoded,
                            ErrorSums& sums) const {
  const dim rows = end - begin, cols = task.source.cols(), bytes = row_bytes(task.format, cols);
  const float* source = (task.source.dithered() ? plain_ : values_).as<float>();
  std::vector<ErrorSums> of_row(static_cast<std::size_t>(rows));
  parallel_ranges(rows, rows_for_a_thread(cols), [&](dim first, dim last) {
    std::vector<float> decoded(static_cast<std::size_t>(cols));
    for (dim r = first; r < last; ++r) {
      task.format.decode(task.format, encoded + r * bytes, cols, decoded.data());
      ErrorSums& row = of_row[std::size_t(r)];
      for (dim c = 0; c < cols; ++c) {
        const double w = source[r * cols + c], e = w - double(decoded[std::size_t(c)]);
        row.source += w * w;
        row.error += e * e;
      }
    }
  });
  for (dim r = 0; r < rows; ++r) {
    const ErrorSums& row = of_row[std::size_t(r)];
    if (!std::isfinite(row.error)) throw overflow(task, encoded + r * bytes, begin + r);
    sums.source += row.source;
    sums.error += row.error;
  }
}

}  // namespace pith
