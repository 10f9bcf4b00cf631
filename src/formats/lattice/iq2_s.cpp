// iq2_s: 256 values in 82 bytes; value = d * (scale + 1/2) / 4 * point coordinate, 16 sub-blocks of 16.
//   d           float16
//   qs[32]      low 8 bits of the point of each group of 8
//   signs[32]   bit i of byte g: value 8g + i is negative
//   qh[8]       bits 8, 9 of the point of group g: bits 2(g % 4) of byte g / 4
//   scales[8]   scale s: low nibble of byte s/2 for even s, high for odd
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq2S {
  static constexpr auto kKind = lattice::Lattice::iq2_s;
  static constexpr dim kBytes = 82, kLow = 2, kSigns = 34, kHigh = 66, kScales = 74;

  static std::uint16_t d(const std::byte* p) { return lattice::read_u16(p); }
  static void set_d(std::byte* p, std::uint16_t d) { lattice::write_u16(p, d); }

  static int scale(const std::byte* p, int s) { return lattice::byte_at(p, kScales + s / 2) >> s % 2 * 4 & 15; }
  static void set_scale(std::byte* p, int s, int scale) { lattice::put_bits(p, kScales + s / 2, s % 2 * 4, 15, scale); }

  static lattice::LatticeGroup group(const std::byte* p, int g) {
    const int high = lattice::byte_at(p, kHigh + g / 4) >> 2 * (g % 4) & 3;
    return {{std::uint16_t(lattice::byte_at(p, kLow + g) | high << 8), 0},
            std::uint8_t(lattice::byte_at(p, kSigns + g)),
            0};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    lattice::put_byte(p, kLow + g, group.point[0] & 255);
    lattice::put_byte(p, kSigns + g, group.signs);
    lattice::put_bits(p, kHigh + g / 4, 2 * (g % 4), 3, group.point[0] >> 8);
  }
};

}  // namespace

extern const Format format_iq2_s;
constinit const Format format_iq2_s =
    lattice::make<Iq2S>("iq2_s", "1024 points for 8 values, 4-bit scales of 16; GGUF", 22);

}  // namespace pith
