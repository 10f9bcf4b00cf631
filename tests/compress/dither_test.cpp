#include "compress/dither.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"

namespace pith {

namespace {

std::vector<float> random_row(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> row(static_cast<std::size_t>(n));
  for (float& v : row) v = float(rng.normal());
  return row;
}

std::vector<std::byte> encoded_row(const Format& f, const std::vector<float>& x, RangeSearch::Kind kind) {
  std::vector<std::byte> out(static_cast<std::size_t>(row_bytes(f, dim(x.size()))));
  f.encode(f, x.data(), nullptr, dim(x.size()), {.kind = kind}, out.data());
  return out;
}

std::vector<float> steps_of(const Format& f, const std::vector<std::byte>& row, dim n) {
  std::vector<float> steps(static_cast<std::size_t>(n), -1);
  local_steps(f, row.data(), n, steps.data());
  return steps;
}

}  // namespace

TEST(LocalSteps, AreTheScalesOfSimpleBlocks) {
  std::vector<float> ramp;  // 0, 1/2, ... 15/2 twice: q4_1's plain range gives scale 1/2, minimum 0
  for (int i = 0; i < 32; ++i) ramp.push_back(float(i % 16) / 2);
  const Format& q4_1 = format_or_throw("q4_1");
  for (const float step : steps_of(q4_1, encoded_row(q4_1, ramp, RangeSearch::Kind::minmax), 32))
    EXPECT_FLOAT_EQ(step, 0.5f);

  std::vector<float> wide;  // two q8_0 blocks with scales 1/4 and 2
  for (int i = 0; i < 64; ++i) wide.push_back(i < 32 ? float(127 - 4 * i) / 4 : float(127 - 4 * (i - 32)) * 2);
  const Format& q8_0 = format_or_throw("q8_0");
  const auto steps = steps_of(q8_0, encoded_row(q8_0, wide, RangeSearch::Kind::minmax), 64);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_FLOAT_EQ(steps[i], i < 32 ? 0.25f : 2.0f) << i;
}

TEST(LocalSteps, AreZeroWhereThereIsNothing) {
  for (const Format* f : all_formats()) {
    if (f->gguf_type < 0 || f->block <= 1 || f == &f32_format()) continue;
    const std::vector<float> zeros(256, 0.0f);
    for (const float step : steps_of(*f, encoded_row(*f, zeros, RangeSearch::Kind::best), 256))
      ASSERT_EQ(step, 0.0f) << f->name;
  }
}

// On an even grid noise of half a step stays in the cell: the nearest code is the value's own.
TEST(Dither, RoundsBackToItsOwnCode) {
  for (const char* name : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"}) {
    const Format& f = format_or_throw(name);
    const dim n = 512;
    auto row = encoded_row(f, random_row(n, 3), RangeSearch::Kind::best);
    std::vector<float> plain(n), noisy;
    f.decode(f, row.data(), n, plain.data());
    noisy = plain;
    add_dither(f, row.data(), n, 77, 0, noisy.data());
    int moved = 0;
    double mean = 0;
    for (dim j = 0; j < n; ++j) {
      const auto at = std::size_t(j);
      moved += noisy[at] != plain[at];
      mean += noisy[at] - plain[at];
      std::byte* block = row.data() + j / f.block * f.block_bytes;
      EXPECT_NEAR(f.put(f, block, f.block, j % f.block, noisy[at]), plain[at], 1e-4 + 1e-4 * std::fabs(plain[at]))
          << name << " " << j;
    }
    EXPECT_GT(moved, 480) << name;
    EXPECT_LT(std::fabs(mean / double(n)), 0.05) << name;
  }
}

TEST(Dither, FillsTheCellEvenly) {
  const Format& f = format_or_throw("q8_0");
  std::vector<float> x(4096);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 32 == 0 ? 127.0f : 0.0f;  // scale 1, so step 1
  const auto row = encoded_row(f, x, RangeSearch::Kind::minmax);
  std::vector<float> noisy = x;
  add_dither(f, row.data(), 4096, 5, 0, noisy.data());
  double square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float noise = noisy[i] - x[i];
    EXPECT_GE(noise, -0.5f);
    EXPECT_LE(noise, 0.5f);
    square += double(noise) * noise;
  }
  EXPECT_NEAR(square / 4096, 1.0 / 12, 0.005);  // the variance of a uniform step of 1
}

TEST(Dither, DependsOnSeedNameAndIndexAlone) {
  EXPECT_EQ(dither_seed(1, "a.weight"), dither_seed(1, "a.weight"));
  EXPECT_NE(dither_seed(1, "a.weight"), dither_seed(2, "a.weight"));
  EXPECT_NE(dither_seed(1, "a.weight"), dither_seed(1, "b.weight"));
  const Format& f = format_or_throw("q4_0");
  const auto row = encoded_row(f, random_row(64, 9), RangeSearch::Kind::best);
  std::vector<float> whole(64, 0), halves(64, 0);
  add_dither(f, row.data(), 64, 4, 100, whole.data());
  add_dither(f, row.data(), 32, 4, 100, halves.data());
  add_dither(f, row.data() + f.block_bytes, 32, 4, 132, halves.data() + 32);
  EXPECT_EQ(whole, halves);
}

}  // namespace pith
