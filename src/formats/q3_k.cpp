// q3_k: value = d * scale * (code - 4), 16 sub-blocks of 16.
//   hmask[32]   value 128h + 32j + l: bit 2 of the code is bit 4h + j of hmask[l]
//   qs[64]      bits 0, 1 of the code are bits 2j, 2j+1 of qs[32h + l]
//   scales[12]  6-bit scales less 32: nibbles in bytes 0-7 (scales 0-7 low, 8-15 high),
//               bits 4, 5 of scale s are bits 2(s/4), 2(s/4)+1 of byte 8 + s%4
//   d           float16
#include "formats/kquant.h"

namespace pith {
namespace {

struct Q3K {
  static constexpr kquant::KKind kKind = kquant::KKind::q3;
  static constexpr dim kBytes = 110, kSub = 16;
  static constexpr int kTop = 7;
  static constexpr dim kCodes = 32, kScales = 96, kD = 108;

  static void read_scales(const std::byte* p, kquant::KBlock& block) {
    block.d = kquant::read_u16(p + kD);
    const std::byte* packed = p + kScales;
    for (int s = 0; s < 16; ++s) {
      const int low = kquant::byte_at(packed, s % 8) >> s / 8 * 4 & 15;
      const int high = kquant::byte_at(packed, 8 + s % 4) >> s / 4 * 2 & 3;
      block.scale[s] = std::int8_t((low | high << 4) - 32);
    }
  }
  static void write_scales(const kquant::KBlock& block, std::byte* p) {
    kquant::write_u16(p + kD, block.d);
    std::byte* packed = p + kScales;
    std::memset(packed, 0, 12);
    for (int s = 0; s < 16; ++s) {
      const int stored = block.scale[s] + 32;
      packed[s % 8] |= std::byte((stored & 15) << s / 8 * 4);
      packed[8 + s % 4] |= std::byte((stored >> 4) << s / 4 * 2);
    }
  }

  static dim byte_of(dim j) { return kCodes + j / 128 * 32 + j % 32; }
  static int shift_of(dim j) { return int(j / 32 % 4) * 2; }
  static int code(const std::byte* p, dim j) {
    const int high = kquant::byte_at(p, j % 32) >> j / 32 & 1;
    return (kquant::byte_at(p, byte_of(j)) >> shift_of(j) & 3) | high << 2;
  }
  static void set_code(std::byte* p, dim j, int code) {
    kquant::put_bits(p, byte_of(j), shift_of(j), 3, code & 3);
    kquant::put_bits(p, j % 32, int(j / 32), 1, code >> 2);
  }

  static void read_codes(const std::byte* p, std::uint8_t* codes) {
    for (dim j = 0; j < 256; j += 32) {
      const std::byte* low = p + byte_of(j);
      const int shift = shift_of(j), bit = int(j / 32);
      for (dim l = 0; l < 32; ++l) {
        const int high = kquant::byte_at(p, l) >> bit & 1;
        codes[j + l] = std::uint8_t((kquant::byte_at(low, l) >> shift & 3) | high << 2);
      }
    }
  }
  static void write_codes(const std::uint8_t* codes, std::byte* p) {
    std::uint8_t high[32] = {}, low[64] = {};
    for (dim j = 0; j < 256; j += 32) {
      std::uint8_t* to = low + j / 128 * 32;
      const int shift = shift_of(j), bit = int(j / 32);
      for (dim l = 0; l < 32; ++l) {
        to[l] = std::uint8_t(to[l] | (codes[j + l] & 3) << shift);
        high[l] = std::uint8_t(high[l] | (codes[j + l] >> 2) << bit);
      }
    }
    std::memcpy(p, high, 32);
    std::memcpy(p + kCodes, low, 64);
  }
};

}  // namespace

extern const Format format_q3_k;
constinit const Format format_q3_k =
    kquant::make<Q3K>("q3_k", "3-bit codes, 6-bit scales of 16 values; GGUF", "q4_0", 11);

}  // namespace pith
