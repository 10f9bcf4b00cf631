// iq3_s: 256 values in 110 bytes; value = d * (2 * scale + 1) * point coordinate, 8 sub-blocks of 32.
//   d           float16
//   qs[64]      low 8 bits of the points of the groups of 4
//   qh[8]       bit 8 of the point of group i: bit i % 8 of byte i / 8
//   signs[32]   bit i of byte g: value 8g + i is negative
//   scales[4]   scale s: low nibble of byte s/2 for even s, high for odd
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq3S {
  static constexpr auto kKind = lattice::Lattice::iq3_s;
  static constexpr dim kBytes = 110, kLow = 2, kHigh = 66, kSigns = 74, kScales = 106;

  static std::uint16_t d(const std::byte* p) { return lattice::read_u16(p); }
  static void set_d(std::byte* p, std::uint16_t d) { lattice::write_u16(p, d); }

  static int scale(const std::byte* p, int s) { return lattice::byte_at(p, kScales + s / 2) >> s % 2 * 4 & 15; }
  static void set_scale(std::byte* p, int s, int scale) { lattice::put_bits(p, kScales + s / 2, s % 2 * 4, 15, scale); }

  static std::uint16_t point(const std::byte* p, int i) {
    return std::uint16_t(lattice::byte_at(p, kLow + i) | (lattice::byte_at(p, kHigh + i / 8) >> i % 8 & 1) << 8);
  }
  static lattice::LatticeGroup group(const std::byte* p, int g) {
    return {{point(p, 2 * g), point(p, 2 * g + 1)}, std::uint8_t(lattice::byte_at(p, kSigns + g)), 0};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    lattice::put_byte(p, kSigns + g, group.signs);
    for (int h = 0; h < 2; ++h) {
      const int i = 2 * g + h;
      lattice::put_byte(p, kLow + i, group.point[h] & 255);
      lattice::put_bits(p, kHigh + i / 8, i % 8, 1, group.point[h] >> 8);
    }
  }
};

}  // namespace

extern const Format format_iq3_s;
constinit const Format format_iq3_s =
    lattice::make<Iq3S>("iq3_s", "512 points for 4 values, 4-bit scales of 32; GGUF", 21, 4);

}  // namespace pith
