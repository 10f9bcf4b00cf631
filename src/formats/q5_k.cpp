// q5_k: value = d * scale * code - dmin * min, 8 sub-blocks of 32.
//   d, dmin     float16
//   scales[12]  6-bit scales and minimums, see read_scale_pairs
//   qh[32]      value 32s + l: bit 4 of the code is bit s of qh[l]
//   qs[128]     value 64i + l: low nibble of qs[32i + l], value 64i + 32 + l: its high nibble
#include "formats/kquant.h"

namespace pith {
namespace {

struct Q5K {
  static constexpr kquant::KKind kKind = kquant::KKind::q5;
  static constexpr dim kBytes = 176, kSub = 32;
  static constexpr int kTop = 31;
  static constexpr dim kScales = 4, kHigh = 16, kCodes = 48;

  static void read_scales(const std::byte* p, kquant::KBlock& block) {
    block.d = kquant::read_u16(p);
    block.dmin = kquant::read_u16(p + 2);
    kquant::read_scale_pairs(p + kScales, block);
  }
  static void write_scales(const kquant::KBlock& block, std::byte* p) {
    kquant::write_u16(p, block.d);
    kquant::write_u16(p + 2, block.dmin);
    kquant::write_scale_pairs(block, p + kScales);
  }

  static dim byte_of(dim j) { return kCodes + j / 64 * 32 + j % 32; }
  static int shift_of(dim j) { return int(j / 32 % 2) * 4; }
  static int code(const std::byte* p, dim j) {
    const int high = kquant::byte_at(p, kHigh + j % 32) >> j / 32 & 1;
    return (kquant::byte_at(p, byte_of(j)) >> shift_of(j) & 15) | high << 4;
  }
  static void set_code(std::byte* p, dim j, int code) {
    kquant::put_bits(p, byte_of(j), shift_of(j), 15, code & 15);
    kquant::put_bits(p, kHigh + j % 32, int(j / 32), 1, code >> 4);
  }

  static void read_codes(const std::byte* p, std::uint8_t* codes) {
    for (dim j = 0; j < 256; j += 32) {
      const std::byte* low = p + byte_of(j);
      const int shift = shift_of(j), bit = int(j / 32);
      for (dim l = 0; l < 32; ++l) {
        const int high = kquant::byte_at(p, kHigh + l) >> bit & 1;
        codes[j + l] = std::uint8_t((kquant::byte_at(low, l) >> shift & 15) | high << 4);
      }
    }
  }
  static void write_codes(const std::uint8_t* codes, std::byte* p) {
    std::uint8_t high[32] = {};
    for (dim j = 0; j < 256; j += 64) {
      const std::uint8_t *a = codes + j, *b = a + 32;
      std::byte* to = p + byte_of(j);
      const int bit = int(j / 32);
      for (dim l = 0; l < 32; ++l) {
        to[l] = std::byte((a[l] & 15) | (b[l] & 15) << 4);
        high[l] = std::uint8_t(high[l] | (a[l] >> 4) << bit | (b[l] >> 4) << (bit + 1));
      }
    }
    std::memcpy(p + kHigh, high, 32);
  }
};

}  // namespace

extern const Format format_q5_k;
constinit const Format format_q5_k =
    kquant::make<Q5K>("q5_k", "5-bit codes, 6-bit scales and minimums of 32 values; GGUF", "q5_1", 13);

}  // namespace pith
