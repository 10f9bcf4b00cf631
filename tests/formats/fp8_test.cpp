// Small floats over all their codes, against values computed here from the definition.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "formats/format.h"
#include "formats/small_floats/small_float.h"

namespace pith {
namespace {

double by_definition(int code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = code >> mantissa_bits & ((1 << exponent_bits) - 1), mantissa = code & ((1 << mantissa_bits) - 1);
  const double fraction = double(mantissa) / (1 << mantissa_bits);
  const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return code >> (exponent_bits + mantissa_bits) ? -magnitude : magnitude;
}

template <class F>
void check_all_codes(int exponent_bits, int mantissa_bits, int top_code) {
  const int sign = 1 << (exponent_bits + mantissa_bits);
  for (int c = 0; c <= top_code; ++c) {
    for (const int code : {c, c + sign}) {
      EXPECT_EQ(double(F::value(std::uint8_t(code))), by_definition(code, exponent_bits, mantissa_bits)) << code;
      EXPECT_EQ(int(F::code(F::value(std::uint8_t(code)))), code);
    }
    if (c == top_code) break;
    // Between neighbours: just below, at and just above the middle; the middle goes to the even code.
    const auto middle = float(
        (by_definition(c, exponent_bits, mantissa_bits) + by_definition(c + 1, exponent_bits, mantissa_bits)) / 2);
    EXPECT_EQ(int(F::code(std::nextafter(middle, 0.0f))), c);
    EXPECT_EQ(int(F::code(middle)), c % 2 ? c + 1 : c);
    EXPECT_EQ(int(F::code(std::nextafter(middle, 1e9f))), c + 1);
    EXPECT_EQ(int(F::code(-middle)), sign + (c % 2 ? c + 1 : c));
  }
  const auto largest = float(by_definition(top_code, exponent_bits, mantissa_bits));
  for (const float huge : {largest * 1.01f, largest * 1.5f, 1e30f, 3.4e38f, HUGE_VALF}) {
    EXPECT_EQ(int(F::code(huge)), top_code) << huge;
    EXPECT_EQ(int(F::code(-huge)), top_code + sign) << huge;
  }
  for (const float tiny : {1e-30f, 1e-40f, 1e-45f}) {
    EXPECT_EQ(int(F::code(tiny)), 0);
    EXPECT_EQ(int(F::code(-tiny)), sign);
  }
}

TEST(SmallFloat, AllCodes) {
  check_all_codes<E4M3>(4, 3, 0x7e);
  check_all_codes<E5M2>(5, 2, 0x7b);
  check_all_codes<E2M3>(2, 3, 0x1f);
  check_all_codes<E3M2>(3, 2, 0x1f);
  check_all_codes<E2M1>(2, 1, 0x07);
}

TEST(SmallFloat, LargestValuesAndNonNumbers) {
  EXPECT_EQ(E4M3::kTop, 448.0f);
  EXPECT_EQ(E5M2::kTop, 57344.0f);
  EXPECT_EQ(E2M3::kTop, 7.5f);
  EXPECT_EQ(E3M2::kTop, 28.0f);
  EXPECT_EQ(E2M1::kTop, 6.0f);
  EXPECT_TRUE(std::isnan(E4M3::value(0x7f)) && std::isnan(E4M3::value(0xff)));
  EXPECT_EQ(E5M2::value(0x7c), HUGE_VALF);
  EXPECT_EQ(E5M2::value(0xfc), -HUGE_VALF);
  for (const int code : {0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff}) EXPECT_TRUE(std::isnan(E5M2::value(std::uint8_t(code))));
}

TEST(Fp8, BytesOfARow) {
  // The largest, 896, is 448 on the scale 2: 0x7e. 2 is 1 there: 0x38. -1 is -.5: 0xb0. 0.015625 is 2^-7, four times
  // the smallest step 2^-9: 0x04.
  const Format& f = format_or_throw("fp8_e4m3");
  const float x[5] = {896, 2, -1, 0.015625f, 0};
  std::vector<std::byte> row(std::size_t(row_bytes(f, 5)));
  f.encode(f, x, nullptr, 5, {.kind = RangeSearch::Kind::minmax}, row.data());
  const std::uint8_t expected[9] = {0, 0, 0, 0x40, 0x7e, 0x38, 0xb0, 0x04, 0x00};
  ASSERT_EQ(row.size(), sizeof expected);
  EXPECT_EQ(std::memcmp(row.data(), expected, sizeof expected), 0);

  const Format& g = format_or_throw("fp8_e5m2");
  const float z[3] = {-57344, 1, 0.25f};
  std::vector<std::byte> wide(std::size_t(row_bytes(g, 3)));
  g.encode(g, z, nullptr, 3, {.kind = RangeSearch::Kind::minmax}, wide.data());
  const std::uint8_t expected_wide[7] = {0, 0, 0x80, 0x3f, 0xfb, 0x3c, 0x34};
  ASSERT_EQ(wide.size(), sizeof expected_wide);
  EXPECT_EQ(std::memcmp(wide.data(), expected_wide, sizeof expected_wide), 0);
}

TEST(Fp8, GroupsHaveTheirOwnScales) {
  const Format& f = format_or_throw("fp8_e4m3_g128");
  std::vector<float> x(256, 1.0f), y(256);
  std::fill(x.begin() + 128, x.end(), 1e-6f);
  std::vector<std::byte> row(std::size_t(row_bytes(f, 256)));
  ASSERT_EQ(row.size(), 264u);
  f.encode(f, x.data(), nullptr, 256, {}, row.data());
  f.decode(f, row.data(), 256, y.data());
  for (std::size_t i = 0; i < 256; ++i) EXPECT_NEAR(y[i], x[i], x[i] * 1e-6f);
}

TEST(Fp8, CastsSaturate) {
  const float x[4] = {1e6f, -1e6f, 17, 0.1f};
  std::byte row[4];
  float y[4];
  const Format& f = format_or_throw("fp8_e4m3_cast");
  f.encode(f, x, nullptr, 4, {}, row);
  f.decode(f, row, 4, y);
  EXPECT_EQ(y[0], 448.0f);
  EXPECT_EQ(y[1], -448.0f);
  EXPECT_EQ(y[2], 16.0f);  // between 16 and 18: to the even mantissa
  EXPECT_EQ(y[3], 0.1015625f);
}

}  // namespace
}  // namespace pith
