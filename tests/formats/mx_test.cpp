// The microscaling formats and NVFP4 by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"
#include "formats/small_floats/nvfp4_row.h"

namespace pith {
namespace {

const RangeSearch kPlain = {.kind = RangeSearch::Kind::minmax};

std::vector<std::byte> encoded(const Format& f, const std::vector<float>& x, const RangeSearch& r = kPlain) {
  std::vector<std::byte> row(std::size_t(row_bytes(f, dim(x.size()))));
  f.encode(f, x.data(), nullptr, dim(x.size()), r, row.data());
  return row;
}

std::vector<float> decoded(const Format& f, const std::vector<std::byte>& row, std::size_t n) {
  std::vector<float> y(n);
  f.decode(f, row.data(), dim(n), y.data());
  return y;
}

void expect_bytes(const std::vector<std::byte>& row, const std::vector<int>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(std::to_integer<int>(row[i]), expected[i]) << i;
}

TEST(Mx, BytesOfEightBitBlocks) {
  // The largest, 3, has exponent 1; E4M3's largest has 8: the scale is 2^-7, e = 120. 3 is 384 there: 0x7c.
  std::vector<float> x(32, 0.0f);
  x[0] = 3, x[1] = -1, x[2] = 0.0078125f;
  const auto row = encoded(format_or_throw("mxfp8_e4m3"), x);
  ASSERT_EQ(row.size(), 33u);
  expect_bytes(row, {120, 0x7c, 0xf0, 0x38, 0});
  // E5M2's has 15: the scale is 2^-14, e = 113; 3 is 1.5 * 2^15 there: 0x7a.
  expect_bytes(encoded(format_or_throw("mxfp8_e5m2"), x), {113, 0x7a, 0xf4, 0x58, 0});
}

TEST(Mx, BytesOfSixBitBlocks) {
  // E2M3: the scale of 3 is 2^(1 - 2), so 3 is 6 (0x1c), -1 is -2 (0x30), .0625 is the smallest step (1), 1.5 is 3.
  std::vector<float> x(32, 0.0f);
  x[0] = 3, x[1] = -1, x[2] = 0.0625f, x[3] = 1.5f, x[4] = 3;
  const auto row = encoded(format_or_throw("mxfp6_e2m3"), x);
  ASSERT_EQ(row.size(), 25u);
  // 0x1c | 0x30 << 6 | 1 << 12 | 0x14 << 18 = 0x501c1c
  expect_bytes(row, {126, 0x1c, 0x1c, 0x50, 0x1c, 0, 0});
  // E3M2: the scale is 2^(1 - 4), so 3 is 24 (0x1e), -1 is -8 (0x38), .0625 is .5 (8), 1.5 is 12 (0x1a).
  // 0x1e | 0x38 << 6 | 8 << 12 | 0x1a << 18 = 0x688e1e
  expect_bytes(encoded(format_or_throw("mxfp6_e3m2"), x), {124, 0x1e, 0x8e, 0x68, 0x1e, 0, 0});
}

TEST(Mx, TheLargestQuarterSaturatesUnlessASearchMayChoose) {
  std::vector<float> x(32, 0.0f);
  x[0] = 1.99f;
  const Format& f = format_or_throw("mxfp8_e4m3");
  EXPECT_EQ(decoded(f, encoded(f, x), 32)[0], 1.75f);
  EXPECT_EQ(decoded(f, encoded(f, x, {}), 32)[0], 2.0f);
}

TEST(Mx, EveryExponent) {
  for (const char* name : {"mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2"}) {
    const Format& f = format_or_throw(name);
    const int top = f.name == "mxfp8_e4m3" ? 8 : f.name == "mxfp8_e5m2" ? 15 : f.name == "mxfp6_e2m3" ? 2 : 4;
    for (int e = -126; e <= 127; ++e) {
      const std::vector<float> x(32, std::ldexp(1.0f, e));
      const auto row = encoded(f, x);
      EXPECT_EQ(std::to_integer<int>(row[0]), std::max(e - top + 127, 0)) << name << " " << e;
      EXPECT_EQ(decoded(f, row, 32), x) << name << " " << e;
    }
    std::vector<std::byte> not_a_number(std::size_t(f.block_bytes));
    not_a_number[0] = std::byte{255};
    EXPECT_TRUE(std::isnan(decoded(f, not_a_number, 32)[31])) << name;
  }
}

TEST(Nvfp4Row, BytesByHand) {
  // Largest 6: 6 / 6 = 1 = 256 * 2^-8, so global is 2^-8 (0x3b800000) and the first scale is 256 (0x78). The second
  // block's largest is 1.5: a quarter is 64 (0x68). Codes: 6 is 7, -3 is 0xd, .5 is 1; 1.5 is 6 of its scale .25.
  std::vector<float> x(18, 0.0f);
  x[0] = 6, x[1] = -3, x[2] = 0.5f, x[16] = 1.5f, x[17] = -0.25f;
  const Format& f = format_or_throw("nvfp4_row");
  const auto row = encoded(f, x);
  ASSERT_EQ(row.size(), 4u + 2 + 9);
  expect_bytes(row, {0, 0, 0x80, 0x3b, 0x78, 0x68, 0xd7, 0x01, 0, 0, 0, 0, 0, 0, 0xa7});
  EXPECT_EQ(decoded(f, row, 18), x);
}

TEST(Nvfp4Row, AnyLengthAndAnyGlobal) {
  const Format& f = format_or_throw("nvfp4_row");
  Rng rng(5);
  for (const std::size_t n : {1u, 15u, 16u, 17u, 33u, 1000u}) {
    std::vector<float> x(n);
    for (float& v : x) v = float(rng.normal());
    auto row = encoded(f, x, {});
    const auto y = decoded(f, row, n);
    double error = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) {
      error += std::pow(double(x[i]) - double(y[i]), 2);
      square += std::pow(double(x[i]), 2);
    }
    EXPECT_LT(error, 0.02 * square) << n;
    // A reader takes any factor, and values scale with it.
    float global;
    std::memcpy(&global, row.data(), sizeof global);
    global *= 3;
    std::memcpy(row.data(), &global, sizeof global);
    const auto scaled = decoded(f, row, n);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(scaled[i], 3 * y[i], std::abs(y[i]) * 1e-6f);
  }
}

}  // namespace
}  // namespace pith
