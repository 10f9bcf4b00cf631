// Floats of 4 to 8 bits: a sign, E bits of exponent (bias 2^(E-1) - 1) and M of mantissa, with subnormals. FP8 and
// the elements of the microscaling formats, from the OCP specifications (OFP8 1.0, MX 1.0).
#pragma once
#include <array>
#include <bit>
#include <limits>

#include "core/base.h"

namespace pith {

// 2^e for e in [-126, 127].
constexpr float power_of_two(int e) { return std::bit_cast<float>(std::uint32_t(e + 127) << 23); }

struct FloatLayout {
  int exponent_bits, mantissa_bits;
  int top_code;       // of the largest finite value
  int infinity = -1;  // the code of infinity, if there is one; the others above are not numbers
  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }

  constexpr float magnitude_of(int code) const {
    if (code > top_code)
      return code == infinity ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    const int exponent = code >> mantissa_bits, mantissa = code & ((1 << mantissa_bits) - 1);
    return exponent == 0 ? float(mantissa) * power_of_two(1 - bias() - mantissa_bits)
                         : float((1 << mantissa_bits) + mantissa) * power_of_two(exponent - bias() - mantissa_bits);
  }
};

template <int E, int M, int TopCode, int Infinity = -1>
struct SmallFloat {
  static constexpr FloatLayout kLayout = {E, M, TopCode, Infinity};
  static constexpr int kBits = 1 + E + M;
  static constexpr int kCodes = 1 << kBits;
  static constexpr int kBias = kLayout.bias();
  static constexpr int kSign = 1 << (E + M);
  static constexpr int kTopExponent = (TopCode >> M) - kBias;  // floor(log2(largest value))
  static constexpr float kTop = kLayout.magnitude_of(TopCode);

  // The value of each code.
  static constexpr std::array<float, std::size_t(kCodes)> kValues = [] {
    std::array<float, std::size_t(kCodes)> values{};
    for (int code = 0; code < kSign; ++code) {
      values[std::size_t(code)] = kLayout.magnitude_of(code);
      values[std::size_t(code + kSign)] = -kLayout.magnitude_of(code);
    }
    return values;
  }();

  // The nearest code, ties to even; what is too large gets the largest finite value. Not for NaN.
  static std::uint8_t code(float v) {
    const auto bits = std::bit_cast<std::uint32_t>(v);
    const std::uint32_t sign = bits >> 31 << (E + M), m = bits & 0x7fffffffu;
    // Below the normal range: the addition leaves the count of the smallest steps in the low bits.
    constexpr float kShift = power_of_two(1 - kBias - M + 23);
    const std::uint32_t small =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(m) + kShift) - std::bit_cast<std::uint32_t>(kShift);
    constexpr std::uint32_t kHalf = (1u << (22 - M)) - 1, kFirst = std::uint32_t(127 - kBias) << 23;
    const std::uint32_t large = (m + kHalf + (m >> (23 - M) & 1u) - kFirst) >> (23 - M);
    const std::uint32_t nearest = m < kFirst + (1u << 23) ? small : large;
    return std::uint8_t(sign | (nearest < std::uint32_t(TopCode) ? nearest : std::uint32_t(TopCode)));
  }

  static float value(std::uint8_t code) { return kValues[code & (kCodes - 1)]; }
};

using E4M3 = SmallFloat<4, 3, 0x7e>;        // up to 448; no infinity
using E5M2 = SmallFloat<5, 2, 0x7b, 0x7c>;  // up to 57344
using E2M3 = SmallFloat<2, 3, 0x1f>;        // up to 7.5
using E3M2 = SmallFloat<3, 2, 0x1f>;        // up to 28
using E2M1 = SmallFloat<2, 1, 0x07>;        // up to 6

}  // namespace pith
