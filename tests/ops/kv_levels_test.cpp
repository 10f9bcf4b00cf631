// KVQuant's blocks: uneven levels and values kept apart.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "ops/kv/affine_codes.h"
#include "ops/kv/level_codes.h"

namespace pith {
namespace {

std::vector<float> normals(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = float(rng.normal());
  return x;
}

std::vector<float> round_trip(const KvSide& side, const std::vector<float>& x) {
  std::vector<std::byte> block(std::size_t(side.block_bytes), std::byte{0xa5});
  std::vector<float> out(x.size(), NAN), scratch(std::size_t(2 * side.head_dim));
  side.encode(side, x.data(), block.data());
  side.decode(side, block.data(), out.data(), scratch.data());
  return out;
}

double mean_squared_error(const KvSide& side, const std::vector<float>& x) {
  const auto back = round_trip(side, x);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(double(x[i]) - double(back[i]), 2);
  return sum / double(x.size());
}

// Each level is the mean of what is nearest to it, with vectors of 64 normal values scaled to their ranges; errors
// count in the values' own units.
TEST(KvLevels, AreWhereKMeansPutsThem) {
  for (const int bits : {2, 3, 4}) {
    const std::size_t count = std::size_t(1) << bits;
    const float* levels = normal_levels(bits);
    std::vector<double> sum(count), weight(count);
    for (std::uint64_t seed = 0; seed < 6000; ++seed) {
      const auto x = normals(64, seed);
      const auto [low, high] = std::minmax_element(x.begin(), x.end());
      const double half = 0.5 * (double(*high) - double(*low)), middle = 0.5 * (double(*high) + double(*low));
      for (const float v : x) {
        const double y = (double(v) - middle) / half;
        std::size_t at = 0;
        for (std::size_t i = 1; i < count; ++i)
          if (std::abs(y - double(levels[i])) < std::abs(y - double(levels[at]))) at = i;
        sum[at] += half * half * y;
        weight[at] += half * half;
      }
    }
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_NEAR(sum[i] / weight[i], double(levels[i]), 0.004) << bits << ' ' << i;
  }
}

TEST(KvLevels, BlocksTakeTheStatedBytes) {
  const KvPlan plan = KvSpec("kvquant:bits=3").plan(64);
  EXPECT_EQ(plan.keys.outliers, 41);  // 1 % of 64 x 64
  EXPECT_EQ(plan.keys.block_bytes, 64 * 4 + 64 * 24 + 41 * 4);
  EXPECT_EQ(plan.values.block_bytes, 64 * 4 + 64 * 24 + 41 * 4);
  EXPECT_EQ(KvSpec("kvquant:bits=2,outliers=0,group=32").plan(128).keys.block_bytes, 128 * 4 + 32 * 32);
  EXPECT_EQ(plan.keys.first, 1);
  EXPECT_TRUE(plan.keys_before_rope);
}

TEST(KvLevels, SpikesAreKeptExactlyAndHurtNothingElse) {
  for (const KvSide& side : {level_channels(48, 3, 64, 20), level_tokens(48, 3, 64, 20)}) {
    auto x = normals(64 * 48, 5);
    const double before = mean_squared_error(side, x);
    Rng rng(6);
    std::vector<std::size_t> places;
    for (int i = 0; i < 20; ++i) {
      const auto place = std::size_t(rng.below(dim(x.size())));
      if (std::count(places.begin(), places.end(), place) == 0) places.push_back(place);
      x[place] = (i % 2 ? 40.0f : -30.0f) + float(i);
    }
    const auto back = round_trip(side, x);
    for (const std::size_t place : places) EXPECT_EQ(back[place], x[place]);
    EXPECT_LT(mean_squared_error(side, x), 1.4 * before);  // the 20 places are no longer free for others
  }
}

TEST(KvLevels, BeatEvenSpacing) {
  const auto x = normals(64 * 64, 8);
  for (const int bits : {2, 3, 4}) {
    const double even = mean_squared_error(channel_groups(64, bits, 64), x);
    EXPECT_LT(mean_squared_error(level_channels(64, bits, 64, 0), x), 0.9 * even) << bits;
    EXPECT_LT(mean_squared_error(level_channels(64, bits, 64, 41), x),
              0.9 * mean_squared_error(level_channels(64, bits, 64, 0), x));
  }
}

// A vector of one value is its own shift.
TEST(KvLevels, TinyAndConstantBlocks) {
  std::vector<float> flat(32 * 3, 0.75f);
  EXPECT_EQ(round_trip(level_channels(3, 2, 32, 2), flat), flat);
  EXPECT_EQ(round_trip(level_tokens(3, 4, 32, 2), flat), flat);
  const auto thin = normals(32, 3);
  EXPECT_EQ(level_tokens(1, 4, 32, 3).outliers, 0);
  const auto back = round_trip(level_tokens(1, 4, 32, 3), thin);
  for (std::size_t i = 0; i < thin.size(); ++i) EXPECT_NEAR(back[i], thin[i], 2e-3);
}

}  // namespace
}  // namespace pith
