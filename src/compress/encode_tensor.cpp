#include "compress/encode_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "compress/policy.h"
#include "core/error.h"
#include "core/half.h"
#include "core/parallel_steps.h"
#include "kernels/rows.h"

namespace pith {

namespace {

constexpr dim kPanelBytes = dim(64) << 20;
constexpr dim kStripValues = dim(1) << 14;  // with its encoded rows it stays in a core's own cache

// Calibrated methods read (cols, cols) coefficients for every strip.
constexpr dim kCalibratedStrip = 48;

dim strip_rows(const EncodeTask& task) {
  const dim few = std::max<dim>(1, kStripValues / std::max<dim>(1, task.source.cols()));
  return task.state ? std::max(few, kCalibratedStrip) : few;
}

// Where both stand multiplied by 1 / factor.
ErrorSums sums_of_scaled_row(const float* source, const float* decoded, const float* factors, dim n) {
  ErrorSums sums;
  for (dim i = 0; i < n; ++i) {
    const double w = double(source[i]) * double(factors[i]);
    const double e = (double(source[i]) - double(decoded[i])) * double(factors[i]);
    sums.source += w * w;
    sums.error += e * e;
  }
  return sums;
}

Error overflow(const EncodeTask& task, const float* decoded, dim row) {
  return Error(Blame::input, task.source.tensor().name,
               fmt::format("expected values that {} can hold, got {} after encoding", task.format.name,
                           first_not_finite(decoded, 1, task.source.cols(), row)),
               "name a format with a wider range for this tensor");
}

// A few rows at a time, by one thread.
class Strip {
 public:
  explicit Strip(const EncodeTask& task)
      : task_(task),
        cols_(task.source.cols()),
        row_bytes_(row_bytes(task.format, cols_)),
        decoded_(std::size_t(cols_)),
        factors_(std::size_t(task.source.scaled() ? cols_ : 0)) {
    const dim values = strip_rows(task) * cols_;
    if (task.source.by_rows()) values_.resize(std::size_t(values));
    if (task.fisher) fisher_.resize(std::size_t(values));
    if (task.source.by_rows() && task.source.dithered()) plain_.resize(std::size_t(values));
  }

  // values, plain: the rows where they are loaded already, else null. columns, kept: (rows, outliers). One sum per row
  // into sums.
  void encode(dim begin, dim end, const float* values, const float* plain, std::byte* out, std::int32_t* columns,
              float* kept, TensorSums* sums) {
    if (!values) {
      task_.source.load(begin, end, values_.data());
      values = plain = values_.data();
      if (task_.source.dithered()) {
        task_.source.load_plain(begin, end, plain_.data());
        plain = plain_.data();
      }
    }
    encode_values(begin, end, values, out, columns, kept);
    for (dim r = begin; r < end; ++r) {
      const dim i = r - begin;
      task_.format.decode(task_.format, out + i * row_bytes_, cols_, decoded_.data());
      for (dim k = i * task_.outliers.per_row; k < (i + 1) * task_.outliers.per_row; ++k)
        decoded_[std::size_t(columns[k])] += f16_to_f32(f32_to_f16(kept[k]));
      if (task_.source.scaled()) {
        task_.source.unscaling(r, factors_.data());
        static_cast<ErrorSums&>(sums[i]) =
            sums_of_scaled_row(plain + i * cols_, decoded_.data(), factors_.data(), cols_);
      } else {
        static_cast<ErrorSums&>(sums[i]) = error_sums(plain + i * cols_, decoded_.data(), cols_);
      }
      sums[i].zeros = count_zeros(decoded_.data(), cols_);
      if (!std::isfinite(sums[i].error)) throw overflow(task_, decoded_.data(), r);
    }
  }

 private:
  void encode_values(dim begin, dim end, const float* values, std::byte* out, std::int32_t* columns, float* kept) {
    if (task_.finished) {
      std::memcpy(out, task_.finished + begin * row_bytes_, std::size_t((end - begin) * row_bytes_));
      return;
    }
    const bool prunes = task_.method.kept;
    if (task_.source.exact() && !prunes) return task_.source.move_encoded(begin, end, out);
    if (!is_dense(task_.format) || prunes)
      return task_.method.layer(
          {values, end - begin, cols_, &task_.format, task_.importance, out, task_.state, task_.source.tensor().role,
           task_.outliers.per_row, columns, kept, task_.fisher ? load_fisher(begin, end) : nullptr, begin},
          task_.options);
    for (dim i = 0; i < end - begin; ++i)
      task_.format.encode(task_.format, values + i * cols_, nullptr, cols_, RangeSearch{}, out + i * row_bytes_);
  }

  // Of the values as they are scaled.
  const float* load_fisher(dim begin, dim end) {
    for (dim r = begin; r < end; ++r) {
      float* to = fisher_.data() + (r - begin) * cols_;
      task_.fisher->load(task_.source.source_index(), task_.source.source_row(r), to);
      if (!task_.source.scaled()) continue;
      task_.source.unscaling(r, factors_.data());
      for (dim c = 0; c < cols_; ++c) to[c] *= factors_[std::size_t(c)] * factors_[std::size_t(c)];
    }
    return fisher_.data();
  }

  const EncodeTask& task_;
  dim cols_, row_bytes_;
  std::vector<float> values_, plain_, decoded_, factors_, fisher_;
};

}  // namespace

dim TensorEncoder::panel_rows(const EncodeTask& task) {
  const dim row_f32_bytes = std::max<dim>(1, task.source.cols() * dim(sizeof(float)));
  return std::clamp<dim>(kPanelBytes / row_f32_bytes, 1, std::max<dim>(1, task.source.rows()));
}

dim TensorEncoder::working_bytes(const EncodeTask& task) {
  const dim cols = task.source.cols(),
            rows = task.source.by_rows() ? strip_rows(task) * num_threads() : panel_rows(task);
  const dim copies = (task.source.dithered() ? 2 : 1), whole = task.source.turned() ? task.source.rows() : 0;
  return (copies * rows + num_threads() + whole) * cols * dim(sizeof(float));
}

void TensorEncoder::store_outliers(const EncodeTask& task, dim rows) {
  const OutlierShape& shape = task.outliers;
  const dim cols = task.source.cols(), lists = shape.per_row == 0 ? 0 : shape.whole_columns ? 1 : rows;
  columns_stored_.resize(std::size_t(outlier_index_bytes(shape, rows, cols)));
  store_columns(std::span(columns_).first(std::size_t(lists * shape.per_row)), cols, columns_stored_.data());
  values_stored_.resize(kept_.size() * 2);
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const std::uint16_t bits = f32_to_f16(kept_[i]);
    std::memcpy(values_stored_.data() + 2 * i, &bits, sizeof bits);
  }
}

void TensorEncoder::encode(const EncodeTask& task, dim begin, dim end, std::byte* out, TensorSums& sums) {
  const dim rows = end - begin, cols = task.source.cols(), bytes = row_bytes(task.format, cols);
  PITH_CHECK(rows <= panel_rows(task) && fits(task.format, cols));
  const float* values = nullptr;
  const float* plain = nullptr;
  if (!task.source.by_rows()) {
    values = plain = load(values_, rows * cols, [&](float* to) { task.source.load(begin, end, to); });
    if (task.source.dithered())
      plain = load(plain_, rows * cols, [&](float* to) { task.source.load_plain(begin, end, to); });
  }
  std::vector<TensorSums> of_row(static_cast<std::size_t>(rows));
  const dim apart = task.outliers.per_row;
  columns_.assign(std::size_t(rows * apart), 0);
  kept_.assign(std::size_t(rows * apart), 0.0f);
  parallel_steps(
      rows, strip_rows(task), [&] { return Strip(task); },
      [&](Strip& strip, dim first, dim last) {
        strip.encode(begin + first, begin + last, values ? values + first * cols : nullptr,
                     plain ? plain + first * cols : nullptr, out + first * bytes, columns_.data() + first * apart,
                     kept_.data() + first * apart, of_row.data() + first);
      });
  store_outliers(task, rows);
  for (const TensorSums& row : of_row) {
    sums.source += row.source;
    sums.error += row.error;
    sums.zeros += row.zeros;
  }
  task.source.release(begin, end);
}

}  // namespace pith
