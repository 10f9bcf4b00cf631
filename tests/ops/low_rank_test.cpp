// Low-rank terms against plain double-precision sums.
#include "ops/low_rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "core/rng.h"
#include "formats/format.h"
#include "ops/linear_backward.h"

namespace pith {
namespace {

using Values = std::vector<float>;

Values random(dim n, Rng& rng) {
  Values v(static_cast<std::size_t>(n));
  for (float& x : v) x = float(rng.normal());
  return v;
}

struct Shape {
  dim n, rows, cols, rank;
};

class LowRankTest : public testing::TestWithParam<Shape> {};

// c (m, n) = sum over k of a(i, k) * b(k, j)
template <class A, class B>
std::vector<double> product(dim m, dim n, dim k, const A& a, const B& b) {
  std::vector<double> c;
  for (dim i = 0; i < m; ++i)
    for (dim j = 0; j < n; ++j) {
      double sum = 0;
      for (dim l = 0; l < k; ++l) sum += a(i, l) * b(l, j);
      c.push_back(sum);
    }
  return c;
}

void expect_near(const float* got, dim stride, const std::vector<double>& expected, dim cols, double of_term) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const dim row = dim(i) / cols, col = dim(i) % cols;
    ASSERT_NEAR(double(got[row * stride + col]), expected[i], of_term) << i;
  }
}

TEST_P(LowRankTest, EqualsPlainSumsForwardAndBackward) {
  const auto [n, rows, cols, rank] = GetParam();
  Rng rng(4);
  const Values a = random(rank * cols, rng), b = random(rows * rank, rng), x = random(n * cols, rng),
               dy = random(n * rows, rng);
  const LowRankTerm term = {a.data(), b.data(), rank, rows, cols, 0.5f};
  const auto at = [](const Values& v, dim width) {
    return [&v, width](dim i, dim j) { return double(v[std::size_t(i * width + j)]); };
  };
  const auto across = [](const auto& f) { return [f](dim i, dim j) { return f(j, i); }; };
  const auto dense = [](const std::vector<double>& v, dim width) {
    return [&v, width](dim i, dim j) { return v[std::size_t(i * width + j)]; };
  };
  const auto t = product(n, rank, cols, at(x, cols), across(at(a, cols)));
  const auto u = product(n, rank, rows, at(dy, rows), at(b, rank));
  auto y = product(n, rows, rank, dense(t, rank), across(at(b, rank)));
  auto dx = product(n, cols, rank, dense(u, rank), at(a, cols));
  auto da = product(rank, cols, n, across(dense(u, rank)), at(x, cols));
  auto db = product(rows, rank, n, across(at(dy, rows)), dense(t, rank));
  for (auto* all : {&y, &dx, &da, &db})
    for (double& v : *all) v = 1 + 0.5 * v;  // added to 1

  // f32 sums of these many terms of size 1 in two stages
  const double near = 1e-6 * std::sqrt(double(rank * std::max({n, rows, cols}))) * 8;
  const dim stride = rows + 3;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    Buffer scratch;
    Values got_y(std::size_t(n * stride), 1), got_dx(std::size_t(n * cols), 1), got_da(a.size(), 1),
        got_db(b.size(), 1);
    add_low_rank(term, x.data(), n, got_y.data(), stride, scratch);
    expect_near(got_y.data(), stride, y, rows, near);
    EXPECT_EQ(got_y[std::size_t(rows)], 1);  // between the rows
    low_rank_backward({&term, x.data(), dy.data(), n, got_dx.data(), got_da.data(), got_db.data()}, scratch);
    expect_near(got_dx.data(), cols, dx, cols, near);
    expect_near(got_da.data(), cols, da, cols, near);
    expect_near(got_db.data(), rank, db, rank, near);
  }
  set_num_threads(2);
}

// y = f (W x + s B A x) + bias, row by row.
TEST_P(LowRankTest, RowFactorsOfALinearLayer) {
  const auto [n, rows, cols, rank] = GetParam();
  Rng rng(9);
  const Values a = random(rank * cols, rng), b = random(rows * rank, rng), x = random(n * cols, rng),
               dy = random(n * rows, rng), w = random(rows * cols, rng), f = random(rows, rng),
               bias = random(rows, rng);
  LowRankTerm term = {a.data(), b.data(), rank, rows, cols, 0.5f};
  term.row_factors = f.data();
  Weight weight;
  auto& view = std::get<Encoded>(weight);
  view.format = &f32_format();
  view.rows = rows;
  view.cols = cols;
  view.data = std::as_bytes(std::span(w)).data();
  const auto sum_at = [&](dim r, dim c) {
    double sum = double(w[std::size_t(r * cols + c)]);
    for (dim k = 0; k < rank; ++k)
      sum += 0.5 * double(b[std::size_t(r * rank + k)]) * double(a[std::size_t(k * cols + c)]);
    return sum;
  };
  std::vector<double> sums, y(std::size_t(n * rows)), dx(std::size_t(n * cols), 0), df(std::size_t(rows), 0),
      db(std::size_t(rows), 0);
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < cols; ++c) sums.push_back(sum_at(r, c));
  for (dim i = 0; i < n; ++i)
    for (dim r = 0; r < rows; ++r) {
      double u = 0;
      const double d = double(dy[std::size_t(i * rows + r)]), factor = double(f[std::size_t(r)]);
      for (dim c = 0; c < cols; ++c) {
        u += sums[std::size_t(r * cols + c)] * double(x[std::size_t(i * cols + c)]);
        dx[std::size_t(i * cols + c)] += d * factor * sums[std::size_t(r * cols + c)];
      }
      y[std::size_t(i * rows + r)] = 1 + factor * u + double(bias[std::size_t(r)]);
      df[std::size_t(r)] += d * u;
      db[std::size_t(r)] += d;
    }
  const double near = 1e-6 * std::sqrt(double(rank * cols * std::max(n, rows))) * 8;
  LinearWorkspace forward;
  LinearBackwardWorkspace backward;
  Values got_y(y.size(), 1), got_dx(dx.size()), got_df(df.size(), 0), got_db(db.size(), 0);
  linear({.weight = &weight,
          .bias = bias.data(),
          .x = x.data(),
          .n = n,
          .y = got_y.data(),
          .y_stride = rows,
          .add = true,
          .low_rank = &term},
         forward);
  expect_near(got_y.data(), rows, y, rows, near);
  linear_backward({.weight = &weight,
                   .x = x.data(),
                   .dy = dy.data(),
                   .n = n,
                   .dx = got_dx.data(),
                   .dbias = got_db.data(),
                   .low_rank = &term,
                   .drow_factors = got_df.data()},
                  backward);
  expect_near(got_dx.data(), cols, dx, cols, near);
  expect_near(got_df.data(), rows, df, rows, near * std::sqrt(double(cols)));
  expect_near(got_db.data(), rows, db, rows, near);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LowRankTest,
                         testing::Values(Shape{1, 5, 7, 1}, Shape{3, 40, 24, 4}, Shape{150, 140, 300, 8},
                                         Shape{9, 300, 33, 16}));

}  // namespace
}  // namespace pith
