// iq3_xxs: 256 values in 98 bytes; value = d * (scale + 1/2) / 2 * point coordinate, 8 sub-blocks of 32.
//   d        float16
//   qs[64]   the points of the groups of 4, a byte each
//   u32[8]   per sub-block: 4 x 7 signs of 8 values each, 4-bit scale on top
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq3Xxs {
  static constexpr auto kKind = lattice::Lattice::iq3_xxs;
  static constexpr dim kBytes = 98, kPoints = 2, kWords = 66;

  static std::uint16_t d(const std::byte* p) { return lattice::read_u16(p); }
  static void set_d(std::byte* p, std::uint16_t d) { lattice::write_u16(p, d); }

  static int scale(const std::byte* p, int s) { return lattice::byte_at(p, kWords + 4 * s + 3) >> 4; }
  static void set_scale(std::byte* p, int s, int scale) { lattice::put_bits(p, kWords + 4 * s + 3, 4, 15, scale); }

  static lattice::LatticeGroup group(const std::byte* p, int g) {
    const std::uint32_t word = lattice::read_u32(p + kWords + 4 * (g / 4));
    return {
        {std::uint16_t(lattice::byte_at(p, kPoints + 2 * g)), std::uint16_t(lattice::byte_at(p, kPoints + 2 * g + 1))},
        lattice::even_signs(word >> 7 * (g % 4)),
        0};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    std::byte* at = p + kWords + 4 * (g / 4);
    const int shift = 7 * (g % 4);
    lattice::write_u32(at, (lattice::read_u32(at) & ~(127u << shift)) | (group.signs & 127u) << shift);
    for (int h = 0; h < 2; ++h) lattice::put_byte(p, kPoints + 2 * g + h, group.point[h]);
  }
};

}  // namespace

extern const Format format_iq3_xxs;
constinit const Format format_iq3_xxs =
    lattice::make<Iq3Xxs>("iq3_xxs", "256 points for 4 values, even signs, 4-bit scales of 32; GGUF", 18, 4);

}  // namespace pith
