#include "ops/low_rank.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "ops/dense_product.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kBlock = 128;  // rows of a result, or columns where those are many

// body(first, count) of every block.
template <class Body>
void for_blocks(dim total, const Body& body) {
  parallel_for((total + kBlock - 1) / kBlock, [&](dim i) { body(i * kBlock, std::min(kBlock, total - i * kBlock)); });
}

// t (n, rank) = x A^T
void inner(const LowRankTerm& m, const float* x, dim n, float* t) {
  for_blocks(n, [&](dim first, dim count) {
    dense_product({DenseType::f32, x + first * m.cols, m.a, t + first * m.rank, count, m.rank, m.cols, m.rank, false});
  });
}

}  // namespace

void add_low_rank(const LowRankTerm& m, const float* x, dim n, float* y, dim y_stride, Buffer& scratch) {
  if (n == 0) return;
  scratch.reserve(n * m.rank * dim(sizeof(float)));
  auto* t = scratch.as<float>();
  inner(m, x, n, t);
  multiply(t, m.scale, n * m.rank);
  for_blocks(n, [&](dim first, dim count) {
    dense_product(
        {DenseType::f32, t + first * m.rank, m.b, y + first * y_stride, count, m.rows, m.rank, y_stride, true});
  });
}

void low_rank_backward(const LowRankBackwardCall& c, Buffer& scratch) {
  const LowRankTerm& m = *c.term;
  PITH_CHECK((c.da == nullptr) == (c.db == nullptr) && (c.x || !c.da));
  if (c.n == 0) return;
  scratch.reserve(2 * c.n * m.rank * dim(sizeof(float)));
  float *u = scratch.as<float>(), *t = u + c.n * m.rank;  // u: the gradient of x A^T
  for_blocks(c.n, [&](dim first, dim count) {
    matrix_product({.a = c.dy + first * m.rows,
                    .a_row = m.rows,
                    .b = m.b,
                    .b_row = m.rank,
                    .c = u + first * m.rank,
                    .c_row = m.rank,
                    .m = count,
                    .n = m.rank,
                    .k = m.rows});
  });
  multiply(u, m.scale, c.n * m.rank);
  if (c.dx)
    for_blocks(c.n, [&](dim first, dim count) {
      matrix_product({.a = u + first * m.rank,
                      .a_row = m.rank,
                      .b = m.a,
                      .b_row = m.cols,
                      .c = c.dx + first * m.cols,
                      .c_row = m.cols,
                      .m = count,
                      .n = m.cols,
                      .k = m.rank,
                      .add = true});
    });
  if (!c.da) return;
  for_blocks(m.cols, [&](dim first, dim count) {
    matrix_product({.a = u,
                    .a_row = 1,
                    .a_col = m.rank,
                    .b = c.x + first,
                    .b_row = m.cols,
                    .c = c.da + first,
                    .c_row = m.cols,
                    .m = m.rank,
                    .n = count,
                    .k = c.n,
                    .add = true});
  });
  inner(m, c.x, c.n, t);
  multiply(t, m.scale, c.n * m.rank);
  for_blocks(m.rows, [&](dim first, dim count) {
    matrix_product({.a = c.dy + first,
                    .a_row = 1,
                    .a_col = m.rows,
                    .b = t,
                    .b_row = m.rank,
                    .c = c.db + first * m.rank,
                    .c_row = m.rank,
                    .m = count,
                    .n = m.rank,
                    .k = c.n,
                    .add = true});
  });
}

}  // namespace pith
