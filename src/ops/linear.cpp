#include "ops/linear.h"

#include "core/error.h"
#include "core/half.h"
#include "formats/format.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"
#include "ops/dense_product.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kFewRows = 8;                // below: products straight from the encoded weight
constexpr dim kPanelBytes = dim(4) << 20;  // of packed weights; stays in the shared cache
// Rows of x: this many of them by kGemmDepth stay in a core's cache beside a packed group.
constexpr dim kRowBlock = 258;

// Rows of f32 that need no widening; null when they must be decoded.
const float* plain_row(const Encoded& w, dim row) {
  if (w.format != &f32_format()) return nullptr;
  const std::byte* p = w.data + row * w.cols * dim(sizeof(float));
  if (reinterpret_cast<std::uintptr_t>(p) % alignof(float) != 0) return nullptr;
  return reinterpret_cast<const float*>(p);
}

void decode_row(const Encoded& w, dim row_bytes_each, dim row, float* out) {
  w.format->decode(*w.format, w.data + row * row_bytes_each, w.cols, out);
}

void few_rows(const Encoded& w, const LinearCall& c, LinearWorkspace& ws) {
  const dim row_size = row_bytes(*w.format, w.cols);
  ws.widened.reserve(num_threads() * w.cols * dim(sizeof(float)));
  parallel_parts(w.rows, grain_of(w.cols * c.n), [&](dim part, dim begin, dim end) {
    float* scratch = ws.widened.as<float>() + part * w.cols;
    for (dim r = begin; r < end; ++r) {
      const float* row = plain_row(w, r);
      if (!row) {
        decode_row(w, row_size, r, scratch);
        row = scratch;
      }
      const float bias = c.bias ? c.bias[r] : 0.0f;
      for (dim i = 0; i < c.n; ++i) {
        float* y = c.y + i * c.y_stride + r;
        const float value = dot(c.x + i * w.cols, row, w.cols) + bias;
        *y = c.add ? *y + value : value;
      }
    }
  });
}

// Packs rows [first, first + count) into groups of 16, each (cols, 16).
void pack_panel(const Encoded& w, dim first, dim count, LinearWorkspace& ws) {
  const dim row_size = row_bytes(*w.format, w.cols);
  ws.widened.reserve(num_threads() * kGemmWidth * w.cols * dim(sizeof(float)));
  parallel_parts((count + kGemmWidth - 1) / kGemmWidth, grain_of(kGemmWidth * w.cols),
                 [&](dim part, dim begin, dim end) {
                   float* scratch = ws.widened.as<float>() + part * kGemmWidth * w.cols;
                   for (dim g = begin; g < end; ++g) {
                     const dim row = first + g * kGemmWidth;
                     const dim rows = std::min(kGemmWidth, first + count - row);
                     const float* source = plain_row(w, row);
                     if (!source) {
                       for (dim r = 0; r < rows; ++r) decode_row(w, row_size, row + r, scratch + r * w.cols);
                       source = scratch;
                     }
                     pack_group(source, w.cols, rows, w.cols, ws.packed.as<float>() + g * kGemmWidth * w.cols);
                   }
                 });
}

// y[row_begin ... row_end, columns of the panel from `group`] from packed groups.
void multiply_block(const LinearCall& c, dim cols, const float* packed, dim row_begin, dim row_end, dim column,
                    dim width) {
  for (dim i = row_begin; i < row_end; i += kRowBlock) {
    const dim rows = std::min(kRowBlock, row_end - i);
    float* y = c.y + i * c.y_stride + column;
    gemm({.m = rows,
          .n = width,
          .k = cols,
          .a = c.x + i * cols,
          .a_row = cols,
          .a_col = 1,
          .b = packed,
          .c = y,
          .c_row = c.y_stride,
          .add = c.add});
    if (c.bias)
      for (dim r = 0; r < rows; ++r) add(y + r * c.y_stride, c.bias + column, width);
  }
}

void multiply_panel(const LinearCall& c, dim cols, dim first, dim count, const float* packed) {
  const dim units = (c.n + kGemmHeight - 1) / kGemmHeight;
  if (units >= 4 * num_threads()) {
    parallel_ranges(units, grain_of(kGemmHeight * cols * count / 8), [&](dim begin, dim end) {
      multiply_block(c, cols, packed, begin * kGemmHeight, std::min(c.n, end * kGemmHeight), first, count);
    });
    return;
  }
  const dim groups = (count + kGemmWidth - 1) / kGemmWidth;
  parallel_ranges(groups, grain_of(kGemmWidth * cols * c.n / 8), [&](dim begin, dim end) {
    const dim column = begin * kGemmWidth;
    multiply_block(c, cols, packed + column * cols, 0, c.n, first + column, std::min(count, end * kGemmWidth) - column);
  });
}

void many_rows(const Encoded& w, const LinearCall& c, LinearWorkspace& ws) {
  const dim group_bytes = kGemmWidth * w.cols * dim(sizeof(float));
  const dim panel_groups = std::clamp<dim>(kPanelBytes / group_bytes, num_threads(), 1 << 12);
  const dim panel = std::min((w.rows + kGemmWidth - 1) / kGemmWidth, panel_groups) * kGemmWidth;
  ws.packed.reserve(panel * w.cols * dim(sizeof(float)));
  for (dim first = 0; first < w.rows; first += panel) {
    const dim count = std::min(panel, w.rows - first);
    pack_panel(w, first, count, ws);
    multiply_panel(c, w.cols, first, count, ws.packed.as<float>());
  }
}

// On processors that multiply bf16: x rounded to bf16, in blocks of rows of one size, so that no result depends on
// the number of threads.
void many_rows_bf16(const Encoded& w, const LinearCall& c, LinearWorkspace& ws) {
  constexpr dim kBlock = 256;
  ws.packed.reserve(c.n * w.cols * dim(sizeof(std::uint16_t)));
  auto* x = ws.packed.as<std::uint16_t>();
  parallel_for((c.n + kBlock - 1) / kBlock, [&](dim block) {
    const dim first = block * kBlock, n = std::min(kBlock, c.n - first);
    for (dim i = first * w.cols; i < (first + n) * w.cols; ++i) x[i] = f32_to_bf16(c.x[i]);
    float* y = c.y + first * c.y_stride;
    dense_product({DenseType::bf16, x + first * w.cols, w.data, y, n, w.rows, w.cols, c.y_stride, c.add});
    if (c.bias)
      for (dim r = 0; r < n; ++r) add(y + r * c.y_stride, c.bias, w.rows);
  });
}

}  // namespace

void linear(const LinearCall& call, LinearWorkspace& workspace) {
  PITH_CHECK(call.weight && call.x && call.y);
  if (call.n == 0) return;
  const Encoded& w = std::get<Encoded>(*call.weight);
  if (call.n < kFewRows)
    few_rows(w, call, workspace);
  else if (w.format == &bf16_format() && has_bf16_products())
    many_rows_bf16(w, call, workspace);
  else
    many_rows(w, call, workspace);
}

dim weight_rows(const Weight& weight) { return std::get<Encoded>(weight).rows; }
dim weight_cols(const Weight& weight) { return std::get<Encoded>(weight).cols; }

}  // namespace pith
