// q4_k: value = d * scale * code - dmin * min, 8 sub-blocks of 32.
//   d, dmin     float16
//   scales[12]  6-bit scales and minimums, see read_scale_pairs
//   qs[128]     value 64i + l: low nibble of qs[32i + l], value 64i + 32 + l: its high nibble
#include "formats/kquant.h"

namespace pith {
namespace {

struct Q4K {
  static constexpr kquant::KKind kKind = kquant::KKind::q4;
  static constexpr dim kBytes = 144, kSub = 32;
  static constexpr int kTop = 15;
  static constexpr dim kScales = 4, kCodes = 16;

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
  static int code(const std::byte* p, dim j) { return kquant::byte_at(p, byte_of(j)) >> shift_of(j) & 15; }
  static void set_code(std::byte* p, dim j, int code) { kquant::put_bits(p, byte_of(j), shift_of(j), 15, code); }

  static void read_codes(const std::byte* p, std::uint8_t* codes) {
    for (dim j = 0; j < 256; j += 64) {
      const std::byte* from = p + byte_of(j);
      for (dim l = 0; l < 32; ++l) codes[j + l] = std::uint8_t(kquant::byte_at(from, l) & 15);
      for (dim l = 0; l < 32; ++l) codes[j + 32 + l] = std::uint8_t(kquant::byte_at(from, l) >> 4);
    }
  }
  static void write_codes(const std::uint8_t* codes, std::byte* p) {
    for (dim j = 0; j < 256; j += 64) {
      std::byte* to = p + byte_of(j);
      for (dim l = 0; l < 32; ++l) to[l] = std::byte(codes[j + l] | codes[j + 32 + l] << 4);
    }
  }
};

}  // namespace

extern const Format format_q4_k;
constinit const Format format_q4_k =
    kquant::make<Q4K>("q4_k", "4-bit codes, 6-bit scales and minimums of 32 values; GGUF", "q5_0", 12);

}  // namespace pith
