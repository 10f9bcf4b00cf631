#include "formats/levels/nf4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/rng.h"

namespace pith {
namespace {

const RangeSearch kPlain = {.kind = RangeSearch::Kind::minmax};

std::vector<float> normal_values(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = float(rng.normal());
  return x;
}

std::vector<std::byte> encoded(const Format& f, const std::vector<float>& x, const RangeSearch& r = kPlain) {
  std::vector<std::byte> row(std::size_t(row_bytes(f, dim(x.size()))));
  f.encode(f, x.data(), nullptr, dim(x.size()), r, row.data());
  return row;
}

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& row, dim n) {
  std::vector<float> y(static_cast<std::size_t>(n));
  f.decode(f, row.data(), n, y.data());
  return y;
}

TEST(Nf4, BytesOfABlock) {
  // 0.5, -1, 0, 2 on the scale 2 are .25, -.5, 0, 1: nearest to .2461 (10), -.5251 (2), 0 (7), 1 (15).
  std::vector<float> x(64, 0.0f);
  x[0] = 0.5f, x[1] = -1, x[3] = 2;
  const auto row = encoded(format_or_throw("nf4_b64"), x);
  const std::uint8_t expected[7] = {0, 0, 0, 0x40, 0xa2, 0x7f, 0x77};  // 2.0f is 0x40000000
  ASSERT_EQ(row.size(), 36u);
  EXPECT_EQ(std::memcmp(row.data(), expected, sizeof expected), 0);
}

TEST(Nf4, EachCodeIsItsOwnNearest) {
  // The table from bitsandbytes' documentation, to six places.
  const double table[16] = {-1,      -.696193, -.525073, -.394917, -.284441, -.184773, -.091050, 0,
                            .079580, .160930,  .246112,  .337915,  .440710,  .562617,  .722957,  1};
  std::vector<float> x(64);
  for (std::size_t i = 0; i < 64; ++i) x[i] = float(table[i % 16] * 3);
  const Format& f = format_or_throw("nf4_b64");
  const auto row = encoded(f, x);
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(int(row[4 + i]), int(2 * i % 16 << 4 | (2 * i + 1) % 16)) << i;
  const auto y = decoded(f, row, 64);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_NEAR(y[i], x[i], 3e-6);
}

TEST(Fp4, EveryCode) {
  // Twelfths by code: 0, 1/16, 8, 12, 4, 6, 2, 3, then the negatives.
  const float twelfths[16] = {0, 0.0625f, 8, 12, 4, 6, 2, 3, 0, -0.0625f, -8, -12, -4, -6, -2, -3};
  std::vector<float> x(64);
  for (std::size_t i = 0; i < 64; ++i) x[i] = twelfths[i % 16];
  const Format& f = format_or_throw("fp4_b64");
  const auto row = encoded(f, x);
  for (int i = 0; i < 8; ++i) {
    const int second = 2 * i + 1, first = 2 * i == 8 ? 0 : 2 * i;  // of the two zeros the first
    EXPECT_EQ(int(row[std::size_t(4 + i)]), first << 4 | second) << i;
  }
  const auto y = decoded(f, row, 64);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_NEAR(y[i], x[i], 1e-6);
}

TEST(Nf4, TheScaleMapIsTheSignedDynamicType) {
  const auto map = nf4_scale_map();
  for (std::size_t i = 1; i < 256; ++i) EXPECT_LT(map[i - 1], map[i]);
  EXPECT_EQ(map[127], 0.0f);
  EXPECT_EQ(map[255], 1.0f);
  // Middle of [.1, 1] for i = 0: 1e-6 * .55. First of 64 for i = 6: .1 + .9 / 128; last: 1 - .9 / 128.
  EXPECT_FLOAT_EQ(map[128], 5.5e-7f);
  EXPECT_FLOAT_EQ(map[126], -5.5e-7f);
  EXPECT_FLOAT_EQ(map[191], 0.10703125f);
  EXPECT_FLOAT_EQ(map[254], 0.99296875f);
  EXPECT_FLOAT_EQ(map[0], -0.99296875f);
}

TEST(Nf4, DoubleQuantizedRowsOfAnyLength) {
  const Format& f = format_or_throw("nf4_b64_dq");
  for (const dim n : {1, 2, 63, 64, 65, 127, 1000, 16384, 16385, 40001}) {
    const auto x = normal_values(n, std::uint64_t(n));
    const dim blocks = (n + 63) / 64, groups = (blocks + 255) / 256;
    const auto row = encoded(f, x);
    EXPECT_EQ(dim(row.size()), 4 + 4 * groups + blocks + (n + 1) / 2);
    const auto y = decoded(f, row, n);
    double error = 0, square = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      error += std::pow(double(x[i]) - double(y[i]), 2);
      square += std::pow(double(x[i]), 2);
    }
    EXPECT_LT(error, 0.012 * square) << n;
    auto again = row;
    for (dim j = 0; j < n; ++j)
      ASSERT_EQ(f.put(f, again.data(), n, j, y[std::size_t(j)]), y[std::size_t(j)]) << n << " at " << j;
    EXPECT_EQ(again, row) << n;
  }
}

TEST(Nf4, DoubleQuantizationByHand) {
  // Blocks with largest magnitudes 1, 2, 3, 6: offset 3, rests -2, -1, 0, 3, nested 3. Their places in the map:
  // -2/3 lies in -(.1 + .9 (k + .5) / 64) for k = 40 (-.66953), -1/3 for k = 16 (-.33203).
  std::vector<float> x(256, 0.0f);
  x[0] = 1, x[64] = -2, x[128] = 3, x[192] = 6;
  const Format& f = format_or_throw("nf4_b64_dq");
  const auto row = encoded(f, x);
  float head[2];
  std::memcpy(head, row.data(), sizeof head);
  EXPECT_EQ(head[0], 3.0f);
  EXPECT_EQ(head[1], 3.0f);
  const auto y = decoded(f, row, 256);
  EXPECT_NEAR(y[0], 3 - 3 * .66953125, 1e-5);
  EXPECT_NEAR(y[64], -(3 - 3 * .33203125), 1e-5);
  EXPECT_EQ(y[128], 3.0f);
  EXPECT_EQ(y[192], 6.0f);
  EXPECT_EQ(y[1], 0.0f);
}

}  // namespace
}  // namespace pith
