#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/half.h"
#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

constexpr RangeSearch kPlain{RangeSearch::Kind::minmax, 2.4, 80};

std::vector<float> back(const Format& f, const std::vector<float>& x, const RangeSearch& r) {
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, dim(x.size()))));
  std::vector<float> y(x.size());
  f.encode(f, x.data(), nullptr, dim(x.size()), r, bytes.data());
  f.decode(f, bytes.data(), dim(x.size()), y.data());
  return y;
}

// b + (3 + 3) / 16 + 64 / (16 * 16), as the paper counts.
TEST(Bilevel, BitsOfThePaper) {
  EXPECT_EQ(bits_per_weight(format_or_throw("bilevel2_g16"), 4096), 2.625);
  EXPECT_EQ(bits_per_weight(format_or_throw("bilevel3_g16"), 4096), 3.625);
  EXPECT_EQ(bits_per_weight(format_or_throw("bilevel4_g16"), 4096), 4.625);
  // A last super-group of 64 values, 4 groups: 8 + 2 + 2 + 24 bytes.
  EXPECT_EQ(row_bytes(format_or_throw("bilevel3_g16"), 576), 2 * 116 + 36);
}

TEST(Bilevel, BytesByHand) {
  // Two groups: 0 to 7 on the scale 1 (zero 0), and -14 to 0 on the scale 2 (zero 7).
  std::vector<float> x(32);
  for (int i = 0; i < 16; ++i) x[std::size_t(i)] = float(i % 8), x[std::size_t(16 + i)] = -2.0f * float(i % 8);
  const Format& f = format_or_throw("bilevel3_g16");
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, 32)));
  ASSERT_EQ(bytes.size(), 8u + 1 + 1 + 12);
  f.encode(f, x.data(), nullptr, 32, kPlain, bytes.data());
  const auto half = [&](std::size_t at) {
    return f16_to_f32(std::uint16_t(std::to_integer<int>(bytes[at]) | std::to_integer<int>(bytes[at + 1]) << 8));
  };
  EXPECT_EQ(half(0), 1.0f);                           // the lowest scale
  EXPECT_NEAR(half(2), 1.0f / 7, 1e-4f);              // a seventh of the way to the highest
  EXPECT_EQ(half(4), 0.0f);                           // the lowest zero
  EXPECT_EQ(half(6), 1.0f);                           // a seventh of 7
  EXPECT_EQ(std::to_integer<int>(bytes[8]), 7 << 3);  // scale codes 0 and 7
  EXPECT_EQ(std::to_integer<int>(bytes[9]), 7 << 3);
  EXPECT_EQ(std::to_integer<int>(bytes[10]), 0x88);  // codes 0, 1, 2, ... of three bits
  EXPECT_EQ(std::to_integer<int>(bytes[11]), 0xc6);
  const auto y = back(f, x, kPlain);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], x[i], 1e-3f * 14) << i;
}

// Where all groups are alike, second-level codes lose nothing: the error is that of plain groups of 16 with real zero
// points, in double.
TEST(Bilevel, AlikeGroupsAreRoundedAsPlainOnes) {
  Rng rng(4);
  std::vector<float> x(256);
  for (std::size_t i = 0; i < 256; ++i) x[i] = i % 16 == 0 ? -1.0f : i % 16 == 1 ? 2.0f : float(rng.uniform() * 3 - 1);
  const auto y = back(format_or_throw("bilevel4_g16"), x, kPlain);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], x[i], 0.5 * 3.0 / 15 * 1.01 + 0.01) << i;
}

TEST(Bilevel, RowsOfAnyLength) {
  for (const dim n : {1, 5, 16, 17, 255, 256, 257, 576, 700}) {
    Rng rng(std::uint64_t(n) + 1);
    std::vector<float> x(static_cast<std::size_t>(n));
    for (float& v : x) v = float(rng.normal());
    double error = 0, square = 0;
    const auto y = back(format_or_throw("bilevel4_g16"), x, {});
    for (std::size_t i = 0; i < x.size(); ++i) error += std::pow(double(x[i]) - double(y[i]), 2), square += x[i] * x[i];
    EXPECT_LT(error, 0.02 * square) << n;
  }
}

// On normal samples, searched and plain ranges: above what levels chosen freely reach (.0345 and .0095), below what
// plain groups of 128 do (.0464 and .0101).
TEST(Bilevel, ErrorOnNormalSamples) {
  Rng rng(9);
  std::vector<float> x(1 << 16);
  for (float& v : x) v = float(rng.normal());
  const auto mean_square = [&](const char* name) {
    double sum = 0;
    const auto y = back(format_or_throw(name), x, {});
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(double(x[i]) - double(y[i]), 2);
    return sum / double(x.size());
  };
  EXPECT_LT(mean_square("bilevel3_g16"), .0464);
  EXPECT_LT(mean_square("bilevel4_g16"), .0101);
  EXPECT_GT(mean_square("bilevel4_g16"), .004);
}

}  // namespace
}  // namespace pith
