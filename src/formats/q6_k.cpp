// q6_k: value = d * scale * (code - 32), 16 sub-blocks of 16.
//   ql[128]     value 128h + 32j + l: bits 0-3 are the low (j < 2) or high nibble of ql[64h + 32(j%2) + l]
//   qh[64]      bits 4, 5 are bits 2j, 2j+1 of qh[32h + l]
//   scales[16]  8 bits, signed
//   d           float16
#include "formats/kquant.h"

namespace pith {
namespace {

struct Q6K {
  static constexpr kquant::KKind kKind = kquant::KKind::q6;
  static constexpr dim kBytes = 210, kSub = 16;
  static constexpr int kTop = 63;
  static constexpr dim kHigh = 128, kScales = 192, kD = 208;

  static void read_scales(const std::byte* p, kquant::KBlock& block) {
    block.d = kquant::read_u16(p + kD);
    std::memcpy(block.scale, p + kScales, 16);
  }
  static void write_scales(const kquant::KBlock& block, std::byte* p) {
    kquant::write_u16(p + kD, block.d);
    std::memcpy(p + kScales, block.scale, 16);
  }

  static dim low_byte(dim j) { return j / 128 * 64 + j % 64; }
  static int low_shift(dim j) { return int(j / 64 % 2) * 4; }
  static dim high_byte(dim j) { return kHigh + j / 128 * 32 + j % 32; }
  static int high_shift(dim j) { return int(j / 32 % 4) * 2; }
  static int code(const std::byte* p, dim j) {
    const int high = kquant::byte_at(p, high_byte(j)) >> high_shift(j) & 3;
    return (kquant::byte_at(p, low_byte(j)) >> low_shift(j) & 15) | high << 4;
  }
  static void set_code(std::byte* p, dim j, int code) {
    kquant::put_bits(p, low_byte(j), low_shift(j), 15, code & 15);
    kquant::put_bits(p, high_byte(j), high_shift(j), 3, code >> 4);
  }

  static void read_codes(const std::byte* p, std::uint8_t* codes) {
    for (dim j = 0; j < 256; j += 32) {
      const std::byte *low = p + low_byte(j), *high = p + high_byte(j);
      const int low_by = low_shift(j), high_by = high_shift(j);
      for (dim l = 0; l < 32; ++l) {
        const int top = kquant::byte_at(high, l) >> high_by & 3;
        codes[j + l] = std::uint8_t((kquant::byte_at(low, l) >> low_by & 15) | top << 4);
      }
    }
  }
  static void write_codes(const std::uint8_t* codes, std::byte* p) {
    for (dim j = 0; j < 256; j += 128) {
      const std::uint8_t* c = codes + j;
      std::byte *low = p + low_byte(j), *high = p + high_byte(j);
      for (dim l = 0; l < 64; ++l) low[l] = std::byte((c[l] & 15) | (c[l + 64] & 15) << 4);
      for (dim l = 0; l < 32; ++l) {
        high[l] = std::byte(c[l] >> 4 | (c[l + 32] >> 4) << 2 | (c[l + 64] >> 4) << 4 | (c[l + 96] >> 4) << 6);
      }
    }
  }
};

}  // namespace

extern const Format format_q6_k;
constinit const Format format_q6_k =
    kquant::make<Q6K>("q6_k", "6-bit codes, 8-bit scales of 16 values; GGUF", "q8_0", 14);

}  // namespace pith
