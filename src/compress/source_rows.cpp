#include "compress/source_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "compress/dither.h"
#include "compress/policy.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/grid.h"
#include "formats/sparse_rows.h"
#include "kernels/rows.h"

namespace pith {

dim rows_for_a_thread(dim cols) { return std::max<dim>(1, (dim(1) << 17) / std::max<dim>(1, cols)); }

SourceRows::SourceRows(const Model& model, const ExportTensor& out, const Dither& dither, const LoraAdapter* adapter,
                       const TensorScales* scales)
    : model_(model), in_(model.tensors()[out.source]), out_(out), scales_(scales) {
  adapter_ = adapter && adapter->adapts(out.source) ? adapter : nullptr;
  dithered_ = dither.on && !in_.sparse && !is_dense(*in_.weight.format) && is_dense(*out.format);
  seed_ = dither_seed(dither.seed, in_.name) + std::uint64_t(in_.expert + 1);
  source_row_bytes_ = row_bytes(*in_.weight.format, in_.weight.cols);
  PITH_CHECK(out.rows_from.empty() || dim(out.rows_from.size()) == in_.weight.rows);
  PITH_CHECK(out.rows_from.empty() || !out.transpose);
}

bool SourceRows::exact() const {
  return moves_exactly(*in_.weight.format, *out_.format, in_.weight.cols) && out_.add == 0 && !out_.transpose &&
         !turned() && !in_.outliers && out_.outliers.per_row == 0 && !dithered_ && !adapter_ && !scales_;
}

void SourceRows::decode(dim row, bool dither, float* values) const {
  const Encoded& w = in_.weight;
  const std::byte* encoded = in_.sparse ? nullptr : w.data + row * source_row_bytes_;
  if (in_.sparse)
    decode_sparse_row(*in_.sparse, row, values);
  else
    w.format->decode(*w.format, encoded, w.cols, values);
  if (in_.outliers) add_row(*in_.outliers, row, values);
  if (dither) add_dither(*w.format, encoded, w.cols, seed_, row * w.cols, values);
  if (adapter_) adapter_->apply(out_.source, row, values);
  if (scales_) scale(row, values);
  if (out_.add != 0)
    for (dim c = 0; c < w.cols; ++c) values[c] += out_.add;
}

void SourceRows::scale(dim row, float* values) const {
  const float* cols = scales_->cols.empty() ? nullptr : scales_->cols.data();
  const float of_row = scales_->rows.empty() ? 1 : scales_->rows[std::size_t(row)], offset = scales_->offset;
  for (dim c = 0; c < in_.weight.cols; ++c) values[c] = (values[c] + offset) * of_row * (cols ? cols[c] : 1) - offset;
}

void SourceRows::unscaling(dim row, float* factors) const {
  std::fill_n(factors, cols(), 1.0f);
  if (!scales_) return;
  const std::vector<float>& across = out_.transpose ? scales_->rows : scales_->cols;  // along a target row
  const std::vector<float>& down = out_.transpose ? scales_->cols : scales_->rows;
  const float of_row = down.empty() ? 1 : down[std::size_t(out_.transpose ? row : source_row(row))];
  for (dim c = 0; c < cols(); ++c) factors[c] = 1 / (of_row * (across.empty() ? 1 : across[std::size_t(c)]));
}

void SourceRows::load_transposed(dim begin, dim end, bool dither, float* values) const {
  const dim target_cols = in_.weight.rows;
  parallel_ranges(target_cols, rows_for_a_thread(in_.weight.cols), [&](dim first, dim last) {
    std::vector<float> row(static_cast<std::size_t>(in_.weight.cols));
    for (dim r = first; r < last; ++r) {
      decode(r, dither, row.data());
      for (dim c = begin; c < end; ++c) values[(c - begin) * target_cols + r] = row[std::size_t(c)];
    }
  });
}

// Rows, then columns.
const float* SourceRows::all_turned() const {
  std::call_once(turn_once_, [&] {
    const dim n = rows(), width = cols();
    turned_.resize(std::size_t(n * width));
    float* values = turned_.data();
    parallel_for(
        n, [&](dim r) { decode(source_row(r), dithered_, values + r * width); }, rows_for_a_thread(width));
    const std::string fault = first_not_finite(values, n, width, 0);
    if (!fault.empty()) return;  // as it is, for `load` to name it
    out_.turn->turn_inputs(values, n, values);
    if (!out_.turn->outputs()) return;
    parallel_ranges(width, 8, [&](dim begin, dim end) {
      std::vector<double> column(static_cast<std::size_t>(n));
      for (dim c = begin; c < end; ++c) {
        for (dim r = 0; r < n; ++r) column[std::size_t(r)] = double(values[r * width + c]);
        out_.turn->output().apply(column.data());
        for (dim r = 0; r < n; ++r) values[r * width + c] = float(column[std::size_t(r)]);
      }
    });
  });
  return turned_.data();
}

void SourceRows::load_rows(dim begin, dim end, bool dither, float* values) const {
  PITH_CHECK(0 <= begin && begin <= end && end <= rows());
  if (out_.transpose) return load_transposed(begin, end, dither, values);
  if (turned()) return void(std::copy_n(all_turned() + begin * cols(), (end - begin) * cols(), values));
  parallel_for(
      end - begin, [&](dim i) { decode(source_row(begin + i), dither, values + i * cols()); },
      rows_for_a_thread(cols()));
}

void SourceRows::load(dim begin, dim end, float* values) const {
  load_rows(begin, end, dithered_, values);
  const std::string fault = first_not_finite(values, end - begin, cols(), begin);
  if (!fault.empty())
    throw Error(Blame::input, in_.name, "expected finite weights, got " + fault,
                "the file is damaged or its training diverged");
}

void SourceRows::load_plain(dim begin, dim end, float* values) const { load_rows(begin, end, false, values); }

void SourceRows::move_encoded(dim begin, dim end, std::byte* encoded) const {
  PITH_CHECK(exact() && 0 <= begin && begin <= end && end <= rows());
  const dim bytes = row_bytes(*out_.format, cols());
  parallel_for(
      end - begin,
      [&](dim i) {
        const std::byte* row = in_.sparse ? nullptr : in_.weight.data + source_row(begin + i) * source_row_bytes_;
        std::vector<std::byte> whole;
        if (in_.sparse) {
          whole.resize(std::size_t(source_row_bytes_));
          encode_sparse_row(*in_.sparse, *in_.weight.format, source_row(begin + i), whole.data());
          row = whole.data();
        }
        move_row(*in_.weight.format, *out_.format, row, cols(), encoded + i * bytes, in_.name);
      },
      rows_for_a_thread(cols()));
}

void SourceRows::release(dim begin, dim end) const {
  const bool whole = begin == 0 && end == rows();
  if (in_.sparse) {
    if (end == rows()) model_.release(in_);
    return;
  }
  if (out_.transpose ? !whole : !out_.rows_from.empty() && !whole) {
    if (end == rows()) model_.release(in_);  // its rows come from anywhere: all pages at the end
    return;
  }
  ModelTensor part;  // a view of these rows
  part.weight.format = in_.weight.format;
  part.weight.rows = out_.transpose ? in_.weight.rows : end - begin;
  part.weight.cols = in_.weight.cols;
  part.weight.data = in_.weight.data + (out_.transpose ? 0 : begin * source_row_bytes_);
  model_.release(part);
}

std::string first_not_finite(const float* values, dim rows, dim cols, dim first_row) {
  for (dim r = 0; r < rows; ++r) {
    const float* row = values + r * cols;
    if (all_finite(row, cols)) continue;
    const dim c = std::find_if_not(row, row + cols, [](float v) { return std::isfinite(v); }) - row;
    return fmt::format("{} at row {}, column {}", row[c], first_row + r, c);
  }
  return {};
}

}  // namespace pith
