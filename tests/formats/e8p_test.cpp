// The codebook of e8p, and its error on normal values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "core/half.h"
#include "core/rng.h"
#include "formats/format.h"

namespace pith {

namespace {

const Format& e8p() { return format_or_throw("e8p"); }

std::vector<float> point_of(unsigned code) {
  std::byte row[4];
  const std::uint16_t one = f32_to_f16(1.0f);
  std::memcpy(row, &one, 2);
  row[2] = std::byte(code & 255);
  row[3] = std::byte(code >> 8);
  std::vector<float> out(8);
  e8p().decode(e8p(), row, 8, out.data());
  return out;
}

std::vector<float> through(const std::vector<float>& x, const std::vector<float>* w = nullptr) {
  std::vector<std::byte> row(std::size_t(row_bytes(e8p(), dim(x.size()))));
  e8p().encode(e8p(), x.data(), w ? w->data() : nullptr, dim(x.size()), {}, row.data());
  std::vector<float> out(x.size());
  e8p().decode(e8p(), row.data(), dim(x.size()), out.data());
  return out;
}

}  // namespace

// All codes are different points of E8 + 1/4: less the quarter, all whole or all halves of odd numbers, with an even
// sum.
TEST(E8p, CodesArePointsOfTheMovedLattice) {
  std::set<std::vector<float>> points;
  for (unsigned code = 0; code < 65536; ++code) {
    const std::vector<float> p = point_of(code);
    double sum = 0;
    int whole = 0, half = 0;
    for (const float v : p) {
      const double u = double(v) - 0.25;
      sum += u;
      whole += u == std::floor(u);
      half += u - 0.5 == std::floor(u);
    }
    ASSERT_TRUE(whole == 8 || half == 8) << code;
    ASSERT_EQ(std::fmod(sum, 2), 0) << code;
    points.insert(p);
  }
  EXPECT_EQ(points.size(), 65536u);
}

// The search against all codes, on the scale it chose.
TEST(E8p, FindsTheNearestCode) {
  std::vector<std::vector<float>> points;
  for (unsigned code = 0; code < 65536; ++code) points.push_back(point_of(code));
  Rng rng(3);
  for (int trial = 0; trial < 60; ++trial) {
    std::vector<float> x(8), w(8);
    for (float& v : x) v = float(rng.normal()) * (trial % 3 == 0 ? 2.5f : 1.0f);
    for (float& v : w) v = trial % 2 ? 1.0f : float(0.05 + rng.uniform());
    std::byte row[4];
    const std::uint16_t one = f32_to_f16(1.0f);
    std::memcpy(row, &one, 2);
    float told[8];
    e8p().put_group(e8p(), row, 8, 0, x.data(), w.data(), told);
    const auto distance = [&](const float* p) {
      double sum = 0;
      for (std::size_t i = 0; i < 8; ++i) sum += double(w[i]) * std::pow(double(x[i]) - double(p[i]), 2);
      return sum;
    };
    double least = 1e300;
    for (const auto& p : points) least = std::min(least, distance(p.data()));
    EXPECT_NEAR(distance(told), least, 1e-5 * least) << trial;
  }
}

// 0.0918 with one scale for all rows; a row's own gains less than a hundredth. The best uniform grid of 2 bits has
// 0.1189.
TEST(E8p, ErrorOfNormalValues) {
  Rng rng(4);
  double error = 0;
  const int rows = 60, cols = 1536;
  for (int r = 0; r < rows; ++r) {
    std::vector<float> x(cols);
    for (float& v : x) v = float(rng.normal());
    const auto y = through(x);
    for (std::size_t i = 0; i < x.size(); ++i) error += std::pow(double(x[i]) - double(y[i]), 2);
  }
  EXPECT_NEAR(error / (rows * cols), 0.0918, 0.015 * 0.0918);
}

TEST(E8p, RowsOfAnyLength) {
  Rng rng(5);
  for (const std::size_t n : {1u, 7u, 8u, 9u, 100u}) {
    std::vector<float> x(n);
    for (float& v : x) v = float(rng.normal());
    EXPECT_EQ(row_bytes(e8p(), dim(n)), 2 + 2 * ((dim(n) + 7) / 8));
    const auto y = through(x);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], x[i], 2) << n;
  }
  EXPECT_EQ(row_bytes(e8p(), 0), 0);
}

}  // namespace pith
