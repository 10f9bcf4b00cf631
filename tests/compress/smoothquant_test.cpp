#include "compress/quantize/smoothquant.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"

namespace pith {
namespace {

std::vector<float> normals(dim count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& v : x) v = float(rng.normal());
  return x;
}

ScaledMatrix matrix_of(const std::vector<float>& w, const InputStats& stats, Role role = Role::attn_q) {
  ActPlan act;
  act.codes = ActPlan::Codes::integer;
  return {.rows = dim(w.size()) / stats.cols,
          .cols = stats.cols,
          .format = &format_or_throw("int8_row_sym"),
          .stats = &stats,
          .load = [&w, n = stats.cols](dim row, float* values) { std::copy_n(w.data() + row * n, n, values); },
          .role = role,
          .act = act};
}

InputStats stats_of(const std::vector<float>& x, dim n) {
  InputStats stats(n, false);
  stats.add(x.data(), dim(x.size()) / n);
  return stats;
}

TEST(SmoothQuant, FactorsAreThoseOfThePaper) {
  // sqrt(16 / 4) and 16^0.75 / 4^0.25; nothing is done to columns without inputs or weights.
  const ColumnPeaks peaks{{16, 0, 3}, {4, 2, 0}};
  EXPECT_EQ(smoothing_factors(peaks, 0.5), (std::vector<float>{2, 1, 1}));
  EXPECT_NEAR(smoothing_factors(peaks, 0.75)[0], 8 / std::sqrt(2.0), 1e-5);
}

TEST(SmoothQuant, AlphaOfAHalfMakesInputsAndWeightsAlike) {
  const dim n = 24;
  const auto x = normals(40 * n, 1), a = normals(7 * n, 2), b = normals(5 * n, 3);
  const InputStats stats = stats_of(x, n);
  const std::vector<ScaledMatrix> both = {matrix_of(a, stats), matrix_of(b, stats)};
  const ColumnPeaks peaks = column_peaks(both);
  const auto s = smoothing_factors(peaks, 0.5);
  for (dim c = 0; c < n; ++c) {
    float most_x = 0, most_w = 0;
    for (dim r = 0; r < 40; ++r) most_x = std::max(most_x, std::fabs(x[std::size_t(r * n + c)]));
    for (dim r = 0; r < 7; ++r) most_w = std::max(most_w, std::fabs(a[std::size_t(r * n + c)]));
    for (dim r = 0; r < 5; ++r) most_w = std::max(most_w, std::fabs(b[std::size_t(r * n + c)]));
    EXPECT_NEAR(most_x / s[std::size_t(c)], most_w * s[std::size_t(c)], 1e-5 * most_w * s[std::size_t(c)]);
  }
}

// The squared error of y = x w, x and w rounded to 8 bits (each token, each row), by plain arithmetic in double.
double true_error(const std::vector<float>& x, const std::vector<float>& w, dim n, const std::vector<float>& s) {
  const auto rounded = [n](std::vector<double> v) {
    double most = 0;
    for (dim c = 0; c < n; ++c) most = std::max(most, std::fabs(v[std::size_t(c)]));
    for (double& value : v) value = std::nearbyint(value * 127 / most) * most / 127;
    return v;
  };
  double sum = 0;
  for (dim i = 0; i < dim(x.size()) / n; ++i)
    for (dim r = 0; r < dim(w.size()) / n; ++r) {
      std::vector<double> a(static_cast<std::size_t>(n)), b(a.size());
      double exact = 0, near = 0;
      for (dim c = 0; c < n; ++c) {
        a[std::size_t(c)] = double(x[std::size_t(i * n + c)]) / double(s[std::size_t(c)]);
        b[std::size_t(c)] = double(w[std::size_t(r * n + c)]) * double(s[std::size_t(c)]);
        exact += a[std::size_t(c)] * b[std::size_t(c)];
      }
      a = rounded(a);
      b = rounded(b);
      for (dim c = 0; c < n; ++c) near += a[std::size_t(c)] * b[std::size_t(c)];
      sum += (near - exact) * (near - exact);
    }
  return sum;
}

TEST(SmoothQuant, SearchedFactorsLoseLessWithALoudChannel) {
  const dim n = 64;
  auto x = normals(50 * n, 1);
  for (std::size_t i = 9; i < x.size(); i += 64) x[i] *= 80;
  const auto w = normals(20 * n, 2);
  const InputStats stats = stats_of(x, n);
  const Method& method = method_or_throw("smoothquant");
  const ScaledMatrix matrix = matrix_of(w, stats);
  const auto factors = method.scale({&matrix, 1}, Options(method.name, method.options, {}));
  ASSERT_EQ(factors.size(), std::size_t(n));
  EXPECT_GT(factors[9], 3 * factors[10]);
  const std::vector<float> none(factors.size(), 1.0f);
  EXPECT_LT(true_error(x, w, n, factors) * 10, true_error(x, w, n, none));
}

TEST(SmoothQuant, OnlyInputsOfNormsUnlessTold) {
  const dim n = 32;
  const auto x = normals(20 * n, 1), w = normals(8 * n, 2);
  const InputStats stats = stats_of(x, n);
  const Method& method = method_or_throw("smoothquant");
  const ScaledMatrix down = matrix_of(w, stats, Role::ffn_down);
  EXPECT_TRUE(method.scale({&down, 1}, Options(method.name, method.options, {"alpha=0.5"})).empty());
  EXPECT_FALSE(method.scale({&down, 1}, Options(method.name, method.options, {"alpha=0.5", "edges=all"})).empty());
}

}  // namespace
}  // namespace pith
