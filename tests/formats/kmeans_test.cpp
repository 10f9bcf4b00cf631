#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"
#include "formats/levels/kmeans_levels.h"

namespace pith {
namespace {

// The weighted squared error of values to their nearest levels.
double cost_of(const std::vector<float>& x, const float* w, const std::vector<double>& levels) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (const double l : levels) least = std::min(least, (double(x[i]) - l) * (double(x[i]) - l));
    sum += (w ? double(w[i]) : 1.0) * least;
  }
  return sum;
}

// The least cost over every way to cut the sorted values in at most k runs, by trying them all.
double by_trying_all(std::vector<std::pair<double, double>> sorted, int k) {
  const std::size_t n = sorted.size();
  double least = std::numeric_limits<double>::infinity();
  for (unsigned cuts = 0; cuts < 1u << (n - 1); ++cuts) {
    if (__builtin_popcount(cuts) > k - 1) continue;
    double total = 0;
    for (std::size_t begin = 0; begin < n;) {
      std::size_t end = begin + 1;
      while (end < n && !(cuts >> (end - 1) & 1)) ++end;
      double w = 0, wx = 0;
      for (std::size_t i = begin; i < end; ++i) w += sorted[i].second, wx += sorted[i].second * sorted[i].first;
      for (std::size_t i = begin; i < end; ++i) total += sorted[i].second * std::pow(sorted[i].first - wx / w, 2);
      begin = end;
    }
    least = std::min(least, total);
  }
  return least;
}

TEST(Kmeans, LevelsAreTheBestOfAll) {
  Rng rng(1);
  for (int trial = 0; trial < 40; ++trial) {
    const std::size_t n = 3 + std::size_t(trial) % 11;
    const int k = 1 + trial % 5;
    std::vector<float> x(n), w(n);
    std::vector<std::pair<double, double>> pairs(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = float(rng.normal() + (trial % 3 == 0 ? 100 : 0));
      w[i] = trial % 2 ? float(std::exp(rng.normal())) : 1.0f;
      pairs[i] = {double(x[i]), double(w[i])};
    }
    std::sort(pairs.begin(), pairs.end());
    std::vector<double> levels(static_cast<std::size_t>(k));
    kmeans_levels(x.data(), trial % 2 ? w.data() : nullptr, dim(n), k, levels.data());
    EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
    EXPECT_NEAR(cost_of(x, w.data(), levels), by_trying_all(pairs, k), 1e-7) << "trial " << trial;
  }
}

TEST(Kmeans, OneBitOfNormalSamples) {
  // Two levels at +-sqrt(2 / pi) leave 1 - 2 / pi.
  Rng rng(2);
  std::vector<float> x(1 << 18);
  for (float& v : x) v = float(rng.normal());
  std::vector<double> levels(2);
  kmeans_levels(x.data(), nullptr, dim(x.size()), 2, levels.data());
  EXPECT_NEAR(levels[0], -0.79788, 0.01);
  EXPECT_NEAR(levels[1], 0.79788, 0.01);
  EXPECT_NEAR(cost_of(x, nullptr, levels) / double(x.size()), .3634, .015 * .3634);
}

TEST(Kmeans, LevelsOfFourNormalCells) {
  // Lloyd-Max: +-.4528, +-1.510.
  Rng rng(3);
  std::vector<float> x(1 << 18);
  for (float& v : x) v = float(rng.normal());
  std::vector<double> levels(4);
  kmeans_levels(x.data(), nullptr, dim(x.size()), 4, levels.data());
  const double expected[4] = {-1.510, -.4528, .4528, 1.510};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(levels[i], expected[i], 0.015) << i;
}

TEST(Kmeans, BinsKeepOutliersAndWeights) {
  Rng rng(4);
  std::vector<float> x(20000), w(x.size(), 1.0f);
  for (float& v : x) v = float(rng.normal());
  x[77] = 500, x[78] = -300;
  std::vector<double> levels(8);
  kmeans_levels(x.data(), nullptr, dim(x.size()), 8, levels.data());
  EXPECT_NEAR(levels.front(), -300, 1e-3);
  EXPECT_NEAR(levels.back(), 500, 1e-3);
  // A value of great weight gets a level of its own.
  x[77] = x[78] = 0;
  x[5] = 2.125f, w[5] = 1e7f;
  kmeans_levels(x.data(), w.data(), dim(x.size()), 8, levels.data());
  double nearest = 1;
  for (const double l : levels) nearest = std::min(nearest, std::abs(l - 2.125));
  EXPECT_LT(nearest, 1e-3);
}

TEST(KmeansRow, BytesByHand) {
  // Four values of 2 bits are their own levels, ascending; codes 2, 0, 3, 1, 0 make 2 | 3 << 4 | 1 << 6 = 0x72, 0.
  const Format& f = format_or_throw("kmeans2_row");
  const float x[5] = {0.5f, -2, 1, -1, -2};
  std::vector<std::byte> row(std::size_t(row_bytes(f, 5)));
  f.encode(f, x, nullptr, 5, {}, row.data());
  const std::uint8_t expected[10] = {0x00, 0xc0, 0x00, 0xbc, 0x00, 0x38, 0x00, 0x3c, 0x72, 0x00};
  ASSERT_EQ(row.size(), sizeof expected);
  EXPECT_EQ(std::memcmp(row.data(), expected, sizeof expected), 0);
}

TEST(KmeansRow, FewValuesAreExactInRowsOfAnyLength) {
  for (const char* name : {"kmeans2_row", "kmeans3_row", "kmeans4_row"}) {
    const Format& f = format_or_throw(name);
    const int levels = f.name[6] == '2' ? 4 : f.name[6] == '3' ? 8 : 16;
    for (const std::size_t n : {1u, 3u, 7u, 8u, 9u, 255u, 257u, 3001u}) {
      std::vector<float> x(n), y(n);
      for (std::size_t i = 0; i < n; ++i) x[i] = 0.25f * float(int(i * 7) % levels) - 1;
      std::vector<std::byte> row(std::size_t(row_bytes(f, dim(n))));
      f.encode(f, x.data(), nullptr, dim(n), {}, row.data());
      f.decode(f, row.data(), dim(n), y.data());
      EXPECT_EQ(x, y) << name << " " << n;
    }
  }
}

}  // namespace
}  // namespace pith
