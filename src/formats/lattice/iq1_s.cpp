// iq1_s: 256 values in 50 bytes; value = d * (2 * scale + 1) * (point coordinate +- 1/8), 8 sub-blocks of 32.
//   d        float16
//   qs[32]   low 8 bits of the point of each group of 8
//   qh u16[8] per sub-block: bits 3i .. 3i+2 are bits 8-10 of the point of its group i; bits 12-14 the scale;
//            bit 15: the eighth is subtracted
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq1S {
  static constexpr auto kKind = lattice::Lattice::iq1_s;
  static constexpr dim kBytes = 50, kLow = 2, kHigh = 34;

  static std::uint16_t d(const std::byte* p) { return lattice::read_u16(p); }
  static void set_d(std::byte* p, std::uint16_t d) { lattice::write_u16(p, d); }

  static int scale(const std::byte* p, int s) { return lattice::byte_at(p, kHigh + 2 * s + 1) >> 4 & 7; }
  static void set_scale(std::byte* p, int s, int scale) { lattice::put_bits(p, kHigh + 2 * s + 1, 4, 7, scale); }

  static lattice::LatticeGroup group(const std::byte* p, int g) {
    const int high = lattice::read_u16(p + kHigh + 2 * (g / 4));
    return {{std::uint16_t(lattice::byte_at(p, kLow + g) | (high >> 3 * (g % 4) & 7) << 8), 0},
            0,
            std::uint8_t(high >> 15)};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    lattice::put_byte(p, kLow + g, group.point[0] & 255);
    std::byte* at = p + kHigh + 2 * (g / 4);
    const int shift = 3 * (g % 4), kept = lattice::read_u16(at) & ~(7 << shift | 1 << 15);
    lattice::write_u16(at, std::uint16_t(kept | group.point[0] >> 8 << shift | group.shift_down << 15));
  }
};

}  // namespace

extern const Format format_iq1_s;
constinit const Format format_iq1_s =
    lattice::make<Iq1S>("iq1_s", "2048 points of -1, 0, 1 for 8 values, 3-bit scales of 32; GGUF", 19);

}  // namespace pith
