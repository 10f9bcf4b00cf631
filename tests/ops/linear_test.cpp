#include "ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/parallel.h"
#include "formats/format.h"
#include "ops/dense_product.h"
#include "tests/ops/random_values.h"

namespace pith {
namespace {

using test::encoded;
using test::normals;

struct Case {
  const char* format;
  dim rows, cols, n;
};

class LinearTest : public testing::TestWithParam<Case> {};

TEST_P(LinearTest, EqualsDoublePrecision) {
  const auto [name, rows, cols, n] = GetParam();
  const Format& format = format_or_throw(name);
  const Weight weight = encoded(format, normals(rows * cols, 1), rows, cols);
  const auto x = normals(n * cols, 2), bias = normals(rows, 3), before = normals(n * (rows + 3), 4);
  std::vector<float> y = before;
  LinearWorkspace workspace;
  linear({&weight, bias.data(), x.data(), n, y.data(), rows + 3, true}, workspace);

  std::vector<float> row(static_cast<std::size_t>(cols));
  const Encoded& e = std::get<Encoded>(weight);
  for (dim r = 0; r < rows; ++r) {
    format.decode(format, e.data + r * row_bytes(format, cols), cols, row.data());
    for (dim i = 0; i < n; ++i) {
      double sum = double(bias[std::size_t(r)]) + double(before[std::size_t(i * (rows + 3) + r)]), size = 0;
      for (dim k = 0; k < cols; ++k) {
        const double product = double(x[std::size_t(i * cols + k)]) * double(row[std::size_t(k)]);
        sum += product;
        size += product * product;
      }
      // Rounding of each of `cols` partial sums, which are about as large as the root of the squares' sum; of each x
      // by at most 2^-9 where the processor multiplies bf16.
      const double unit = n >= 8 && &format == &bf16_format() && has_bf16_products() ? 1.0 / 512 : 1e-6;
      ASSERT_NEAR(y[std::size_t(i * (rows + 3) + r)], sum, unit * (std::sqrt(size) * 4 + 4)) << i << ", " << r;
    }
  }
  for (dim i = 0; i < n; ++i)  // nothing is written between the rows
    for (dim r = rows; r < rows + 3; ++r)
      ASSERT_EQ(y[std::size_t(i * (rows + 3) + r)], before[std::size_t(i * (rows + 3) + r)]);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearTest,
                         testing::Values(Case{"f32", 50, 40, 1}, Case{"f32", 50, 40, 7}, Case{"f32", 50, 40, 8},
                                         Case{"f32", 33, 1000, 101}, Case{"f32", 1, 1, 9}, Case{"f32", 16, 385, 13},
                                         Case{"bf16", 80, 96, 3}, Case{"bf16", 80, 96, 20}, Case{"f16", 17, 33, 64},
                                         Case{"q8_0", 48, 64, 5}, Case{"q8_0", 48, 64, 12}));

// What is not stored counts as 0: the same bits as from the dense matrix.
TEST(Linear, SparseEqualsDense) {
  const dim rows = 37, cols = 88;
  for (const bool two_of_four : {false, true}) {
    auto values = normals(rows * cols, 1);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (two_of_four ? i % 4 == 1 || i % 4 == i / 4 % 2 * 3 : i % 3 > 0) values[i] = 0;
    const Weight dense = encoded(f32_format(), values, rows, cols);
    const Weight sparse = two_of_four ? Weight(make_two_of_four(values.data(), rows, cols, f32_format()))
                                      : Weight(make_bitmask(values.data(), rows, cols, f32_format()));
    EXPECT_LT(weight_bytes(sparse), weight_bytes(dense) * (two_of_four ? .6 : .4));
    for (const dim n : {1, 5, 40}) {
      const auto x = normals(n * cols, 2), bias = normals(rows, 3);
      std::vector<float> a(std::size_t(n * rows)), b(a.size());
      LinearWorkspace workspace;
      linear({&dense, bias.data(), x.data(), n, a.data(), rows}, workspace);
      linear({&sparse, bias.data(), x.data(), n, b.data(), rows}, workspace);
      EXPECT_EQ(a, b) << n;
    }
  }
}

TEST(Linear, SumOfQuantizedAndOutliers) {
  const dim rows = 20, cols = 96;
  auto values = normals(rows * cols, 1);
  std::vector<float> outliers(values.size(), 0.0f);
  for (std::size_t i = 0; i < values.size(); i += 50) outliers[i] = 100, values[i] = 0;
  Sum sum;
  sum.parts.emplace_back(std::get<Encoded>(encoded(format_or_throw("q8_0"), values, rows, cols)));
  sum.parts.emplace_back(make_bitmask(outliers.data(), rows, cols, f16_format()));
  const Weight weight = std::move(sum);
  EXPECT_EQ(weight_rows(weight), rows);
  EXPECT_EQ(weight_cols(weight), cols);
  for (const dim n : {2, 33}) {
    const auto x = normals(n * cols, 2);
    std::vector<float> y(std::size_t(n * rows));
    LinearWorkspace workspace;
    linear({&weight, nullptr, x.data(), n, y.data(), rows}, workspace);
    for (dim i = 0; i < n; ++i)
      for (dim r = 0; r < rows; ++r) {
        double expected = 0;
        for (dim k = 0; k < cols; ++k)
          expected += double(x[std::size_t(i * cols + k)]) *
                      (double(values[std::size_t(r * cols + k)]) + double(outliers[std::size_t(r * cols + k)]));
        // 8-bit steps are about 3 / 127: each of 96 products is off by a third of that at most.
        ASSERT_NEAR(y[std::size_t(i * rows + r)], expected, 0.4) << i << ", " << r;
      }
  }
}

TEST(Linear, SameBitsForAnyThreadsAndManyPanels) {
  const dim rows = 700, cols = 1700, n = 50;  // more than one panel of 4 MiB
  const Weight weight = encoded(f32_format(), normals(rows * cols, 1), rows, cols);
  const auto x = normals(n * cols, 2);
  const auto product = [&](int threads, dim count) {
    const int before = num_threads();
    set_num_threads(threads);
    std::vector<float> y(static_cast<std::size_t>(count * rows));
    LinearWorkspace workspace;
    linear({&weight, nullptr, x.data(), count, y.data(), rows}, workspace);
    set_num_threads(before);
    return y;
  };
  const auto one = product(1, n), few = product(1, 4);
  for (const int threads : {2, 7}) {
    EXPECT_EQ(std::memcmp(product(threads, n).data(), one.data(), one.size() * sizeof(float)), 0) << threads;
    EXPECT_EQ(std::memcmp(product(threads, 4).data(), few.data(), few.size() * sizeof(float)), 0) << threads;
  }
  double sum = 0;  // the last row's last output, past the first panel
  for (dim k = 0; k < cols; ++k)
    sum += double(x[std::size_t((n - 1) * cols + k)]) *
           double(std::get<Encoded>(weight).owned.as<float>()[(rows - 1) * cols + k]);
  EXPECT_NEAR(one.back(), sum, 2e-4);
}

}  // namespace
}  // namespace pith
