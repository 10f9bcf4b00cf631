// iq1_m: 256 values in 56 bytes; value = d * (2 * scale + 1) * (point coordinate +- 1/8), 16 sub-blocks of 16.
//   qs[32]         low 8 bits of the point of each group of 8
//   qh[16]         a nibble per group: bits 8-10 of the point, and bit 3: the eighth is subtracted
//   scales u16[4]  word k: the scales of sub-blocks 4k .. 4k+3 in 3 bits each, above them bits 4k .. 4k+3 of d
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq1M {
  static constexpr auto kKind = lattice::Lattice::iq1_m;
  static constexpr dim kBytes = 56, kHigh = 32, kScales = 48;

  static std::uint16_t d(const std::byte* p) {
    int d = 0;
    for (int k = 0; k < 4; ++k) d |= lattice::byte_at(p, kScales + 2 * k + 1) >> 4 << 4 * k;
    return std::uint16_t(d);
  }
  static void set_d(std::byte* p, std::uint16_t d) {
    for (int k = 0; k < 4; ++k) lattice::put_bits(p, kScales + 2 * k + 1, 4, 15, d >> 4 * k);
  }

  static int scale(const std::byte* p, int s) { return lattice::read_u16(p + kScales + s / 4 * 2) >> 3 * (s % 4) & 7; }
  static void set_scale(std::byte* p, int s, int scale) {
    std::byte* at = p + kScales + s / 4 * 2;
    const int shift = 3 * (s % 4);
    lattice::write_u16(at, std::uint16_t((lattice::read_u16(at) & ~(7 << shift)) | scale << shift));
  }

  static lattice::LatticeGroup group(const std::byte* p, int g) {
    const int nibble = lattice::byte_at(p, kHigh + g / 2) >> g % 2 * 4 & 15;
    return {{std::uint16_t(lattice::byte_at(p, g) | (nibble & 7) << 8), 0}, 0, std::uint8_t(nibble >> 3)};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    lattice::put_byte(p, g, group.point[0] & 255);
    lattice::put_bits(p, kHigh + g / 2, g % 2 * 4, 15, group.point[0] >> 8 | group.shift_down << 3);
  }
};

}  // namespace

extern const Format format_iq1_m;
constinit const Format format_iq1_m =
    lattice::make<Iq1M>("iq1_m", "2048 points of -1, 0, 1 for 8 values, 3-bit scales of 16; GGUF", 29);

}  // namespace pith
