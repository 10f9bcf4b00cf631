#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/half.h"
#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

std::vector<float> alphas_of(const std::vector<std::byte>& block, int bits) {
  std::vector<float> alpha(static_cast<std::size_t>(bits));
  for (std::size_t p = 0; p < alpha.size(); ++p) {
    std::uint16_t half;
    std::memcpy(&half, block.data() + 2 * p, sizeof half);
    alpha[p] = f16_to_f32(half);
  }
  return alpha;
}

// The squared error when each value takes the best of all sign patterns.
double error_with(const std::vector<float>& x, const std::vector<float>& alpha) {
  double sum = 0;
  for (const float v : x) {
    double least = HUGE_VAL;
    for (unsigned c = 0; c < 1u << alpha.size(); ++c) {
      double y = 0;
      for (std::size_t p = 0; p < alpha.size(); ++p) y += c >> p & 1 ? double(alpha[p]) : -double(alpha[p]);
      least = std::min(least, (double(v) - y) * (double(v) - y));
    }
    sum += least;
  }
  return sum;
}

TEST(Bcq, BytesByHand) {
  // Evenly spaced by the plain range: alphas 1 and 2 for a largest value of 3; -3, -1, 1, 3 are codes 0, 1, 2, 3.
  const Format& f = format_or_throw("bcq2_g128");
  std::vector<float> x(128, -3.0f);
  x[0] = 3, x[1] = 1, x[2] = -1, x[9] = 3;
  std::vector<std::byte> row(std::size_t(row_bytes(f, 128)));
  ASSERT_EQ(row.size(), 36u);
  f.encode(f, x.data(), nullptr, 128, {.kind = RangeSearch::Kind::minmax}, row.data());
  const std::uint8_t head[7] = {0x00, 0x3c, 0x00, 0x40, 0b101, 0b10, 0};
  EXPECT_EQ(std::memcmp(row.data(), head, sizeof head), 0);
  const std::uint8_t second_plane[3] = {0b11, 0b10, 0};
  EXPECT_EQ(std::memcmp(row.data() + 4 + 16, second_plane, sizeof second_plane), 0);
}

// A uniform grid of 2^b values around zero is a binary code: nothing is lost.
TEST(Bcq, UniformGridsAreExact) {
  for (const int bits : {2, 3, 4}) {
    const Format& f = format_or_throw("bcq" + std::to_string(bits) + "_g128");
    std::vector<float> x(128), y(128);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.125f * float(2 * int(i % (1u << bits)) + 1 - (1 << bits));
    std::vector<std::byte> row(std::size_t(row_bytes(f, 128)));
    f.encode(f, x.data(), nullptr, 128, {}, row.data());
    f.decode(f, row.data(), 128, y.data());
    EXPECT_EQ(x, y) << bits;
  }
}

TEST(Bcq, CodesAreNearestAndNoAlphaCanMove) {
  Rng rng(1);
  for (const int bits : {2, 3, 4}) {
    const Format& f = format_or_throw("bcq" + std::to_string(bits) + "_g128");
    for (int trial = 0; trial < 10; ++trial) {
      std::vector<float> x(128), y(128);
      for (float& v : x) v = float(rng.normal() * (trial % 2 ? 1e-3 : 30));
      std::vector<std::byte> row(std::size_t(row_bytes(f, 128)));
      f.encode(f, x.data(), nullptr, 128, {}, row.data());
      f.decode(f, row.data(), 128, y.data());
      double error = 0;
      for (std::size_t i = 0; i < x.size(); ++i) error += std::pow(double(x[i]) - double(y[i]), 2);
      auto alpha = alphas_of(row, bits);
      EXPECT_NEAR(error, error_with(x, alpha), 1e-5 * error);
      for (float& a : alpha) {
        const float kept = a;
        for (const float factor : {0.97f, 1.03f}) {
          a = kept * factor;
          EXPECT_GE(error_with(x, alpha), error * 0.998) << bits << " bits, trial " << trial;
        }
        a = kept;
      }
    }
  }
}

TEST(Bcq, OneOutlierTakesItsOwnLevels) {
  // Two planes of about half the outlier each: their sum is for it, their difference for the rest.
  for (const int bits : {2, 3, 4}) {
    const Format& f = format_or_throw("bcq" + std::to_string(bits) + "_g128");
    Rng rng(2);
    std::vector<float> x(128), y(128);
    for (float& v : x) v = float(rng.normal() * 0.05);
    x[40] = 50;
    std::vector<std::byte> row(std::size_t(row_bytes(f, 128)));
    f.encode(f, x.data(), nullptr, 128, {}, row.data());
    f.decode(f, row.data(), 128, y.data());
    EXPECT_NEAR(y[40], 50, 0.05) << bits;
    double error = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (i != 40) error += std::pow(double(x[i]) - double(y[i]), 2);
    // One plane fewer is left to them, and the halves are stored in steps of 1 / 64.
    EXPECT_LT(error / 127, 0.0025 * (bits == 2 ? .37 : .13)) << bits;
  }
}

}  // namespace
}  // namespace pith
