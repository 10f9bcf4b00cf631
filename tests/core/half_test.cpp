#include "core/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pith {
namespace {

// Every binary16 value, against the definition: sign * 2^(e-15) * (1 + m/1024), subnormals m * 2^-24.
TEST(Half, EveryF16CodeDecodesAndEncodesBack) {
  for (int code = 0; code < 65536; ++code) {
    const int e = (code >> 10) & 31, m = code & 1023;
    const float got = f16_to_f32(std::uint16_t(code));
    if (e == 31) {
      EXPECT_TRUE(m ? std::isnan(got) : std::isinf(got));
    } else {
      const double magnitude = e ? std::ldexp(1.0 + m / 1024.0, e - 15) : std::ldexp(double(m), -24);
      EXPECT_EQ(got, float(code >> 15 ? -magnitude : magnitude)) << code;
    }
    if (e != 31 || m == 0) {
      EXPECT_EQ(f32_to_f16(got), code);
    }
  }
}

TEST(Half, F16RoundsTiesToEven) {
  EXPECT_EQ(f32_to_f16(1.0f + 0x1p-11f), 0x3c00);      // half-way, even below
  EXPECT_EQ(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);  // half-way, even above
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);  // half the least subnormal
  EXPECT_EQ(f32_to_f16(0x1.8p-25f), 0x0001);
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
}

TEST(Half, Bf16RoundsTiesToEvenAndKeepsNan) {
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(f32_to_bf16(-2.0f), 0xc000);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::nanf("")))));
  EXPECT_EQ(bf16_to_f32(0x4049), 3.140625f);
}

}  // namespace
}  // namespace pith
