#include "ops/linear.h"

#include <algorithm>

#include "core/error.h"
#include "core/half.h"
#include "formats/format.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"
#include "kernels/sparse_dot.h"
#include "ops/act/act_rows.h"
#include "ops/dense_product.h"
#include "ops/integer_product.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kFewRows = 8;                // below: products straight from the encoded weight
constexpr dim kPanelBytes = dim(4) << 20;  // of packed weights; stays in the shared cache
// Rows of x: this many of them by kGemmDepth stay in a core's cache beside a packed group.
constexpr dim kRowBlock = 258;

bool is_bitmask16(const Sparse& s) {
  return s.layout == SparseLayout::bitmask && (s.values.format == &bf16_format() || s.values.format == &f16_format());
}
SparseRow16 sparse_row(const Sparse& s, dim row) {
  return {s.positions + row * ((s.cols + 7) / 8), s.values.data + 2 * s.row_starts[row],
          s.values.data + 2 * s.values.cols, s.values.format == &bf16_format()};
}

// The rows of a weight in f32.
class Rows {
 public:
  explicit Rows(const Weight& weight)
      : rows(weight_rows(weight)), cols(weight_cols(weight)), weight_(weight), plain_(plain_of(weight)) {
    const auto* e = std::get_if<Encoded>(&weight);
    bfloat_ = e && e->format == &bf16_format();
    if (bfloat_ || (e && e->format == &f16_format())) half_ = e->data;
    const auto* s = std::get_if<Sparse>(&weight);
    if (s && is_bitmask16(*s)) sparse_ = s;
  }

  // The row where it lies if it needs no widening, else widened into scratch. scratch, more: cols floats each.
  const float* at(dim row, float* scratch, float* more) const {
    if (plain_) return plain_ + row * cols;
    decode_weight_row(weight_, row, scratch, more);
    return scratch;
  }
  bool plain() const { return plain_ != nullptr; }

  // Products of a row and each of n rows of x, (n, cols); out: n of them. Scratch as above.
  void products(dim row, const float* x, dim n, float* scratch, float* out) const {
    if (half_) {
      const std::byte* at = half_ + row * 2 * cols;
      for (dim i = 0; i < n; ++i) out[i] = bfloat_ ? dot_bf16(x + i * cols, at, cols) : dot_f16(x + i * cols, at, cols);
      return;
    }
    if (sparse_) {
      const SparseRow16 sparse = sparse_row(*sparse_, row);
      for (dim i = 0; i < n; ++i) out[i] = sparse_dot16(x + i * cols, sparse, cols);
      return;
    }
    const float* widened = at(row, scratch, scratch + cols);
    for (dim i = 0; i < n; ++i) out[i] = dot(x + i * cols, widened, cols);
  }

  const dim rows, cols;

 private:
  static const float* plain_of(const Weight& weight) {
    const auto* e = std::get_if<Encoded>(&weight);
    if (!e || e->format != &f32_format() || reinterpret_cast<std::uintptr_t>(e->data) % alignof(float) != 0)
      return nullptr;
    return reinterpret_cast<const float*>(e->data);
  }

  const Weight& weight_;
  const float* plain_;
  const std::byte* half_ = nullptr;  // rows of 16-bit floats
  bool bfloat_ = false;
  const Sparse* sparse_ = nullptr;  // of 16-bit floats
};

void few_rows(const Rows& w, const LinearCall& c, LinearWorkspace& ws) {
  ws.widened.reserve(num_threads() * 2 * w.cols * dim(sizeof(float)));
  parallel_parts(w.rows, grain_of(w.cols * c.n), [&](dim part, dim begin, dim end) {
    float* scratch = ws.widened.as<float>() + part * 2 * w.cols;
    for (dim r = begin; r < end; ++r) {
      float products[kFewRows];
      w.products(r, c.x, c.n, scratch, products);
      const float bias = c.bias ? c.bias[r] : 0.0f;
      for (dim i = 0; i < c.n; ++i) {
        float* y = c.y + i * c.y_stride + r;
        const float value = products[i] + bias;
        *y = c.add ? *y + value : value;
      }
    }
  });
}

// Packs rows [first, first + count) into groups of 16, each (cols, 16).
void pack_panel(const Rows& w, dim first, dim count, LinearWorkspace& ws) {
  constexpr dim kScratchRows = kGemmWidth + 1;
  ws.widened.reserve(num_threads() * kScratchRows * w.cols * dim(sizeof(float)));
  parallel_parts((count + kGemmWidth - 1) / kGemmWidth, grain_of(kGemmWidth * w.cols),
                 [&](dim part, dim begin, dim end) {
                   float* scratch = ws.widened.as<float>() + part * kScratchRows * w.cols;
                   for (dim g = begin; g < end; ++g) {
                     const dim row = first + g * kGemmWidth;
                     const dim rows = std::min(kGemmWidth, first + count - row);
                     const float* source = w.plain() ? w.at(row, nullptr, nullptr) : scratch;
                     if (!w.plain())
                       for (dim r = 0; r < rows; ++r)
                         w.at(row + r, scratch + r * w.cols, scratch + kGemmWidth * w.cols);
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

void many_rows(const Rows& w, const LinearCall& c, LinearWorkspace& ws) {
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

// With its zeros in place for as long as it takes.
void many_rows_sparse(const Sparse& s, const LinearCall& c, LinearWorkspace& ws) {
  ws.widened.reserve(s.rows * s.cols * dim(sizeof(std::uint16_t)));
  auto* dense = ws.widened.as<std::uint16_t>();
  parallel_ranges(s.rows, grain_of(s.cols), [&](dim begin, dim end) {
    for (dim r = begin; r < end; ++r) spread_row16(sparse_row(s, r), s.cols, dense + r * s.cols);
  });
  Encoded encoded;
  encoded.format = s.values.format;
  encoded.rows = s.rows;
  encoded.cols = s.cols;
  encoded.data = ws.widened.data();
  many_rows_bf16(encoded, c, ws);
}

void plain_linear(const LinearCall& call, LinearWorkspace& workspace) {
  const Rows w(*call.weight);
  const auto* encoded = std::get_if<Encoded>(call.weight);
  const auto* sparse = std::get_if<Sparse>(call.weight);
  if (call.n < kFewRows)
    few_rows(w, call, workspace);
  else if (encoded && encoded->format == &bf16_format() && has_bf16_products())
    many_rows_bf16(*encoded, call, workspace);
  else if (sparse && is_bitmask16(*sparse) && sparse->values.format == &bf16_format() && has_bf16_products())
    many_rows_sparse(*sparse, call, workspace);
  else
    many_rows(w, call, workspace);
}

// The product of turned inputs, turned back; the bias belongs to that.
void turned_linear(const LinearCall& c, LinearWorkspace& ws) {
  const dim rows = weight_rows(*c.weight), cols = weight_cols(*c.weight);
  PITH_CHECK(c.turn->rows() == rows && c.turn->cols() == cols);
  ws.turned.reserve(c.n * (rows + cols) * dim(sizeof(float)));
  float *x = ws.turned.as<float>(), *y = x + c.n * cols;
  c.turn->turn_inputs(c.x, c.n, x);
  LinearCall inner = c;
  inner.turn = nullptr;
  inner.bias = nullptr;
  inner.x = x;
  inner.y = y;
  inner.y_stride = rows;
  inner.add = false;
  linear(inner, ws);
  c.turn->undo_outputs(y, c.n);
  for (dim i = 0; i < c.n; ++i) {
    float *from = y + i * rows, *to = c.y + i * c.y_stride;
    if (c.bias) add(from, c.bias, rows);
    if (c.add)
      add(to, from, rows);
    else
      std::copy_n(from, rows, to);
  }
}

// The sum of a matrix and its low-rank term, rows times their factors, then the bias.
void factored_rows(const LinearCall& c, LinearWorkspace& ws) {
  const dim rows = weight_rows(*c.weight);
  ws.scaled.reserve(c.n * rows * dim(sizeof(float)));
  auto* z = ws.scaled.as<float>();
  LowRankTerm sum = *c.low_rank;
  sum.row_factors = nullptr;
  LinearCall plain = c;
  plain.low_rank = &sum;
  plain.bias = nullptr;
  plain.add = false;
  plain.y = z;
  plain.y_stride = rows;
  linear(plain, ws);
  const float* factors = c.low_rank->row_factors;
  parallel_for(
      c.n,
      [&](dim i) {
        float* y = c.y + i * c.y_stride;
        for (dim r = 0; r < rows; ++r)
          y[r] = (c.add ? y[r] : 0) + factors[r] * z[i * rows + r] + (c.bias ? c.bias[r] : 0);
      },
      grain_of(rows));
}

}  // namespace

void linear(const LinearCall& call, LinearWorkspace& workspace) {
  PITH_CHECK(call.weight && call.x && call.y);
  if (call.n == 0) return;
  if (call.low_rank && call.low_rank->row_factors) return factored_rows(call, workspace);
  if (call.low_rank) {
    LinearCall base = call;
    base.low_rank = nullptr;
    linear(base, workspace);
    return add_low_rank(*call.low_rank, call.x, call.n, call.y, call.y_stride, workspace.low_rank);
  }
  if (call.turn) return turned_linear(call, workspace);
  if (!call.act || !call.act->on()) return plain_linear(call, workspace);
  if (is_integer_product(call)) return integer_product(call, workspace);
  LinearCall rounded = call;
  const dim cols = weight_cols(*call.weight);
  workspace.inputs.reserve(call.n * cols * dim(sizeof(float)));
  round_act_rows(*call.act, call.act_scale, call.x, call.n, cols, workspace.inputs.as<float>());
  rounded.x = workspace.inputs.as<float>();
  plain_linear(rounded, workspace);
}

}  // namespace pith
