// iq2_xs: 256 values in 74 bytes; value = d * (scale + 1/2) / 4 * point coordinate, 16 sub-blocks of 16.
//   d           float16
//   u16[32]     per group of 8: its point in 9 bits, 7 signs above
//   scales[8]   scale s: low nibble of byte s/2 for even s, high for odd
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq2Xs {
  static constexpr auto kKind = lattice::Lattice::iq2_xs;
  static constexpr dim kBytes = 74, kGroups = 2, kScales = 66;

  static std::uint16_t d(const std::byte* p) { return lattice::read_u16(p); }
  static void set_d(std::byte* p, std::uint16_t d) { lattice::write_u16(p, d); }

  static int scale(const std::byte* p, int s) { return lattice::byte_at(p, kScales + s / 2) >> s % 2 * 4 & 15; }
  static void set_scale(std::byte* p, int s, int scale) { lattice::put_bits(p, kScales + s / 2, s % 2 * 4, 15, scale); }

  static lattice::LatticeGroup group(const std::byte* p, int g) {
    const std::uint32_t word = lattice::read_u16(p + kGroups + 2 * g);
    return {{std::uint16_t(word & 511), 0}, lattice::even_signs(word >> 9), 0};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    lattice::write_u16(p + kGroups + 2 * g, std::uint16_t(group.point[0] | (group.signs & 127) << 9));
  }
};

}  // namespace

extern const Format format_iq2_xs;
constinit const Format format_iq2_xs =
    lattice::make<Iq2Xs>("iq2_xs", "512 points for 8 values, even signs, 4-bit scales of 16; GGUF", 17);

}  // namespace pith
