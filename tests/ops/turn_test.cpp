// A linear layer whose matrix is stored between rotations gives what the matrix itself gives.
#include "ops/turn.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "formats/format.h"
#include "ops/linear.h"
#include "tests/ops/random_values.h"

namespace pith {
namespace {

using test::encoded;
using test::normals;

// Row i of Q.
std::vector<double> row_of(const Rotation& q, dim i) {
  std::vector<double> x(std::size_t(q.size()), 0.0);
  x[std::size_t(i)] = 1;
  q.apply(x.data());
  return x;
}

std::vector<float> turned(const std::vector<float>& w, const Turn& turn) {
  const dim rows = turn.rows(), cols = turn.cols();
  std::vector<std::vector<double>> c, r;
  for (dim i = 0; i < cols; ++i) c.push_back(row_of(turn.input(), i));
  for (dim i = 0; i < rows; ++i) {
    r.push_back(turn.outputs() ? row_of(turn.output(), i) : std::vector<double>(std::size_t(rows), 0.0));
    if (!turn.outputs()) r.back()[std::size_t(i)] = 1;
  }
  std::vector<float> out(w.size());
  for (std::size_t a = 0; a < std::size_t(rows); ++a)
    for (std::size_t b = 0; b < std::size_t(cols); ++b) {
      double sum = 0;
      for (std::size_t i = 0; i < std::size_t(rows); ++i)
        for (std::size_t j = 0; j < std::size_t(cols); ++j)
          sum += r[i][a] * double(w[i * std::size_t(cols) + j]) * c[j][b];
      out[a * std::size_t(cols) + b] = float(sum);
    }
  return out;
}

}  // namespace

TEST(Turn, LinearGivesWhatTheMatrixGives) {
  const dim rows = 24, cols = 40;
  const auto w = normals(rows * cols, 1);
  for (const bool outputs : {false, true}) {
    const Turn turn(7, outputs, rows, cols);
    const Weight stored = encoded(format_or_throw("f32"), turned(w, turn), rows, cols);
    for (const dim n : {dim(1), dim(12)}) {
      const auto x = normals(n * cols, 2), bias = normals(rows, 3), before = normals(n * (rows + 2), 4);
      std::vector<float> y = before;
      LinearWorkspace workspace;
      linear({.weight = &stored,
              .bias = bias.data(),
              .x = x.data(),
              .n = n,
              .y = y.data(),
              .y_stride = rows + 2,
              .add = true,
              .turn = &turn},
             workspace);
      for (dim i = 0; i < n; ++i)
        for (dim r = 0; r < rows; ++r) {
          double sum = double(bias[std::size_t(r)]) + double(before[std::size_t(i * (rows + 2) + r)]);
          for (dim c = 0; c < cols; ++c)
            sum += double(w[std::size_t(r * cols + c)]) * double(x[std::size_t(i * cols + c)]);
          ASSERT_NEAR(y[std::size_t(i * (rows + 2) + r)], sum, 3e-5) << i << ' ' << r;  // f32 sums near 10
        }
    }
  }
}

TEST(Turn, SizesWithALargeOddPartStay) {
  EXPECT_TRUE(Turn::can_turn(576));
  EXPECT_TRUE(Turn::can_turn(11008));
  EXPECT_FALSE(Turn::can_turn(2 * 257));
  EXPECT_FALSE(Turn::can_turn(0));
}

}  // namespace pith
