// q2_k: value = d * scale * code - dmin * min, 16 sub-blocks of 16.
//   scales[16]  low nibble scale, high nibble minimum
//   qs[64]      value 128h + 32j + l: bits 2j, 2j+1 of qs[32h + l]
//   d, dmin     float16
#include "formats/kquant.h"

namespace pith {
namespace {

struct Q2K {
  static constexpr kquant::KKind kKind = kquant::KKind::q2;
  static constexpr dim kBytes = 84, kSub = 16;
  static constexpr int kTop = 3;
  static constexpr dim kCodes = 16, kD = 80;

  static void read_scales(const std::byte* p, kquant::KBlock& block) {
    block.d = kquant::read_u16(p + kD);
    block.dmin = kquant::read_u16(p + kD + 2);
    for (int s = 0; s < 16; ++s) {
      block.scale[s] = std::int8_t(kquant::byte_at(p, s) & 15);
      block.min[s] = std::uint8_t(kquant::byte_at(p, s) >> 4);
    }
  }
  static void write_scales(const kquant::KBlock& block, std::byte* p) {
    kquant::write_u16(p + kD, block.d);
    kquant::write_u16(p + kD + 2, block.dmin);
    for (int s = 0; s < 16; ++s) kquant::put_byte(p, s, block.scale[s] | block.min[s] << 4);
  }

  static dim byte_of(dim j) { return kCodes + j / 128 * 32 + j % 32; }
  static int shift_of(dim j) { return int(j / 32 % 4) * 2; }
  static int code(const std::byte* p, dim j) { return kquant::byte_at(p, byte_of(j)) >> shift_of(j) & 3; }
  static void set_code(std::byte* p, dim j, int code) { kquant::put_bits(p, byte_of(j), shift_of(j), 3, code); }

  static void read_codes(const std::byte* p, std::uint8_t* codes) {
    for (dim j = 0; j < 256; j += 32) {
      const std::byte* from = p + byte_of(j);
      const int shift = shift_of(j);
      for (dim l = 0; l < 32; ++l) codes[j + l] = std::uint8_t(kquant::byte_at(from, l) >> shift & 3);
    }
  }
  static void write_codes(const std::uint8_t* codes, std::byte* p) {
    for (dim j = 0; j < 256; j += 128) {
      const std::uint8_t* c = codes + j;
      std::byte* to = p + byte_of(j);
      for (dim l = 0; l < 32; ++l) to[l] = std::byte(c[l] | c[l + 32] << 2 | c[l + 64] << 4 | c[l + 96] << 6);
    }
  }
};

}  // namespace

extern const Format format_q2_k;
constinit const Format format_q2_k =
    kquant::make<Q2K>("q2_k", "2-bit codes, 4-bit scales and minimums of 16 values; GGUF", "q4_0", 10);

}  // namespace pith
