#include "ops/linear_backward.h"

#include "core/error.h"
#include "core/half.h"
#include "formats/format.h"
#include "ops/dense_product.h"
#include "ops/parts.h"

namespace pith {

namespace {

// Outputs are cut in blocks of one size, whatever the number of threads.
constexpr dim kInputRows = 128;             // of dx
constexpr dim kWeightRows = 128;            // of dW
constexpr dim kPanelBytes = dim(16) << 20;  // of a weight that needs widening

struct Operand {
  DenseType type = DenseType::f32;
  const void* data = nullptr;
  const void* row(dim i, dim stride) const {
    return static_cast<const std::byte*>(data) + i * stride * (type == DenseType::bf16 ? 2 : 4);
  }
};

const Encoded* plain(const Weight& weight, const Format& format) {
  const auto* e = std::get_if<Encoded>(&weight);
  return e && e->format == &format && reinterpret_cast<std::uintptr_t>(e->data) % alignof(float) == 0 ? e : nullptr;
}

void narrow(const float* from, dim count, std::uint16_t* to) {
  parallel_ranges(count, grain_of(1), [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) to[i] = f32_to_bf16(from[i]);
  });
}

// dx = or += dy[:, first ...] * w, w (count, cols): some of the weight's rows.
void input_gradient(const LinearBackwardCall& c, const Operand& dy, const Operand& w, dim first, dim count, dim rows,
                    dim cols, bool add) {
  parallel_for((c.n + kInputRows - 1) / kInputRows, [&](dim block) {
    const dim begin = block * kInputRows, n = std::min(kInputRows, c.n - begin);
    matrix_product({.type = w.type,
                    .a = dy.row(begin * rows + first, 1),
                    .a_row = rows,
                    .b = w.data,
                    .b_row = cols,
                    .c = c.dx + begin * cols,
                    .c_row = cols,
                    .m = n,
                    .n = cols,
                    .k = count,
                    .add = add});
  });
}

void widened_input_gradient(const LinearBackwardCall& c, const Operand& dy, LinearBackwardWorkspace& ws) {
  const Weight& weight = *c.weight;
  const dim rows = weight_rows(weight), cols = weight_cols(weight);
  const dim panel = std::clamp<dim>(kPanelBytes / (cols * dim(sizeof(float))), 1, rows);
  ws.weight.reserve((panel + num_threads()) * cols * dim(sizeof(float)));
  auto* values = ws.weight.as<float>();
  for (dim first = 0; first < rows; first += panel) {
    const dim count = std::min(panel, rows - first);
    parallel_parts(count, grain_of(cols), [&](dim part, dim begin, dim end) {
      float* scratch = values + (panel + part) * cols;
      for (dim r = begin; r < end; ++r) decode_weight_row(weight, first + r, values + r * cols, scratch);
    });
    input_gradient(c, dy, {DenseType::f32, values}, first, count, rows, cols, c.add || first > 0);
  }
}

void weight_gradient(const LinearBackwardCall& c, const Operand& dy, const Operand& x, dim rows, dim cols) {
  parallel_for((rows + kWeightRows - 1) / kWeightRows, [&](dim block) {
    const dim first = block * kWeightRows, count = std::min(kWeightRows, rows - first);
    matrix_product({.type = x.type,
                    .a = dy.row(first, 1),
                    .a_row = 1,
                    .a_col = rows,
                    .b = x.data,
                    .b_row = cols,
                    .c = c.dweight + first * cols,
                    .c_row = cols,
                    .m = count,
                    .n = cols,
                    .k = c.n,
                    .add = true});
  });
}

// The square of an outer product is the outer product of squares.
void weight_squares(const LinearBackwardCall& c, dim rows, dim cols, LinearBackwardWorkspace& ws) {
  const dim n = c.n * rows, m = c.n * cols;
  ws.squared.reserve((n + m) * dim(sizeof(float)));
  auto* values = ws.squared.as<float>();
  parallel_ranges(n + m, grain_of(1), [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) {
      const float v = i < n ? c.dy[i] : c.x[i - n];
      values[i] = v * v;
    }
  });
  weight_gradient(c, {DenseType::f32, values}, {DenseType::f32, values + n}, rows, cols);
}

void bias_gradient(const LinearBackwardCall& c, dim rows) {
  parallel_ranges(rows, std::max<dim>(16, grain_of(c.n)), [&](dim begin, dim end) {
    for (dim i = 0; i < c.n; ++i)
      for (dim r = begin; r < end; ++r) c.dbias[r] += c.dy[i * rows + r];
  });
}

// With row factors: their gradient, from what the rows give without them; then all else as of dy times the factors.
void factored_rows_backward(const LinearBackwardCall& c, LinearBackwardWorkspace& ws) {
  const dim rows = weight_rows(*c.weight);
  if (c.dbias) bias_gradient(c, rows);
  LowRankTerm sum = *c.low_rank;
  sum.row_factors = nullptr;
  if (c.drow_factors) {
    ws.unscaled.reserve(c.n * rows * dim(sizeof(float)));
    auto* u = ws.unscaled.as<float>();
    linear({.weight = c.weight, .x = c.x, .n = c.n, .y = u, .y_stride = rows, .low_rank = &sum}, ws.forward);
    parallel_ranges(rows, std::max<dim>(16, grain_of(c.n)), [&](dim begin, dim end) {
      for (dim i = 0; i < c.n; ++i)
        for (dim r = begin; r < end; ++r) c.drow_factors[r] += c.dy[i * rows + r] * u[i * rows + r];
    });
  }
  ws.scaled.reserve(c.n * rows * dim(sizeof(float)));
  auto* dy = ws.scaled.as<float>();
  parallel_for(
      c.n,
      [&](dim i) {
        for (dim r = 0; r < rows; ++r) dy[i * rows + r] = c.dy[i * rows + r] * c.low_rank->row_factors[r];
      },
      grain_of(rows));
  LinearBackwardCall plain = c;
  plain.dy = dy;
  plain.dbias = nullptr;
  plain.low_rank = &sum;
  linear_backward(plain, ws);
}

}  // namespace

void linear_backward(const LinearBackwardCall& c, LinearBackwardWorkspace& ws) {
  PITH_CHECK(c.weight && c.dy && (c.x || !(c.dweight || c.dlow_rank_a)));
  if (c.n == 0) return;
  if (c.low_rank && c.low_rank->row_factors) return factored_rows_backward(c, ws);
  const dim rows = weight_rows(*c.weight), cols = weight_cols(*c.weight);
  const Encoded* narrow_weight = has_bf16_products() ? plain(*c.weight, bf16_format()) : nullptr;
  Operand dy = {DenseType::f32, c.dy}, x = {DenseType::f32, c.x};
  if (narrow_weight) {
    ws.narrowed.reserve(c.n * (rows + cols) * dim(sizeof(std::uint16_t)));
    auto* values = ws.narrowed.as<std::uint16_t>();
    narrow(c.dy, c.n * rows, values);
    dy = {DenseType::bf16, values};
    if (c.dweight) narrow(c.x, c.n * cols, values + c.n * rows);
    x = {DenseType::bf16, values + c.n * rows};
  }
  if (c.dx) {
    const Encoded* as_it_lies = narrow_weight ? narrow_weight : plain(*c.weight, f32_format());
    if (as_it_lies)
      input_gradient(c, dy, {dy.type, as_it_lies->data}, 0, rows, rows, cols, c.add);
    else
      widened_input_gradient(c, dy, ws);
  }
  if (c.dweight && c.squares)
    weight_squares(c, rows, cols, ws);
  else if (c.dweight)
    weight_gradient(c, dy, x, rows, cols);
  if (c.dbias) bias_gradient(c, rows);
  if (c.low_rank) low_rank_backward({c.low_rank, c.x, c.dy, c.n, c.dx, c.dlow_rank_a, c.dlow_rank_b}, ws.low_rank);
}

}  // namespace pith
