// iq4_xs: value = d * scale * level[code] with 16 uneven levels, 8 sub-blocks of 32.
//   d            float16
//   scales_h u16 bits 4, 5 of scale s are bits 2s, 2s+1
//   scales_l[4]  bits 0-3: low nibble of byte s/2 for even s, high for odd; the scale is less 32
//   qs[128]      value 32s + l: low nibble of qs[16s + l], value 32s + 16 + l: its high nibble
#include "formats/kquant.h"

namespace pith {
namespace {

struct Iq4Xs {
  static constexpr kquant::KKind kKind = kquant::KKind::iq4;
  static constexpr dim kBytes = 136, kSub = 32;
  static constexpr int kTop = 15;
  static constexpr dim kScalesHigh = 2, kScalesLow = 4, kCodes = 8;

  static void read_scales(const std::byte* p, kquant::KBlock& block) {
    block.d = kquant::read_u16(p);
    const int high = kquant::read_u16(p + kScalesHigh);
    for (int s = 0; s < 8; ++s) {
      const int low = kquant::byte_at(p, kScalesLow + s / 2) >> s % 2 * 4 & 15;
      block.scale[s] = std::int8_t((low | (high >> 2 * s & 3) << 4) - 32);
    }
  }
  static void write_scales(const kquant::KBlock& block, std::byte* p) {
    kquant::write_u16(p, block.d);
    int high = 0;
    for (int s = 0; s < 8; s += 2) {
      const int even = block.scale[s] + 32, odd = block.scale[s + 1] + 32;
      high |= (even >> 4) << 2 * s | (odd >> 4) << (2 * s + 2);
      kquant::put_byte(p, kScalesLow + s / 2, (even & 15) | (odd & 15) << 4);
    }
    kquant::write_u16(p + kScalesHigh, std::uint16_t(high));
  }

  static dim byte_of(dim j) { return kCodes + j / 32 * 16 + j % 16; }
  static int shift_of(dim j) { return int(j / 16 % 2) * 4; }
  static int code(const std::byte* p, dim j) { return kquant::byte_at(p, byte_of(j)) >> shift_of(j) & 15; }
  static void set_code(std::byte* p, dim j, int code) { kquant::put_bits(p, byte_of(j), shift_of(j), 15, code); }

  static void read_codes(const std::byte* p, std::uint8_t* codes) {
    for (dim j = 0; j < 256; j += 32) {
      const std::byte* from = p + byte_of(j);
      for (dim l = 0; l < 16; ++l) codes[j + l] = std::uint8_t(kquant::byte_at(from, l) & 15);
      for (dim l = 0; l < 16; ++l) codes[j + 16 + l] = std::uint8_t(kquant::byte_at(from, l) >> 4);
    }
  }
  static void write_codes(const std::uint8_t* codes, std::byte* p) {
    for (dim j = 0; j < 256; j += 32) {
      std::byte* to = p + byte_of(j);
      for (dim l = 0; l < 16; ++l) to[l] = std::byte(codes[j + l] | codes[j + 16 + l] << 4);
    }
  }
};

}  // namespace

extern const Format format_iq4_xs;
constinit const Format format_iq4_xs =
    kquant::make<Iq4Xs>("iq4_xs", "4-bit codes of uneven levels, 6-bit scales of 32 values; GGUF", "iq4_nl", 23);

}  // namespace pith
