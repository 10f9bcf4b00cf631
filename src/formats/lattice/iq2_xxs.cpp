// iq2_xxs: 256 values in 66 bytes; value = d * (scale + 1/2) / 4 * point coordinate, 8 sub-blocks of 32.
//   d       float16
//   8 x 8   per sub-block: the points of its 4 groups of 8, a byte each; then u32: 4 x 7 signs, 4-bit scale on top
#include "formats/lattice/codebook.h"

namespace pith {
namespace {

struct Iq2Xxs {
  static constexpr auto kKind = lattice::Lattice::iq2_xxs;
  static constexpr dim kBytes = 66;

  static std::uint16_t d(const std::byte* p) { return lattice::read_u16(p); }
  static void set_d(std::byte* p, std::uint16_t d) { lattice::write_u16(p, d); }

  static dim word_at(int s) { return 2 + 8 * s + 4; }
  static int scale(const std::byte* p, int s) { return lattice::byte_at(p, word_at(s) + 3) >> 4; }
  static void set_scale(std::byte* p, int s, int scale) { lattice::put_bits(p, word_at(s) + 3, 4, 15, scale); }

  static lattice::LatticeGroup group(const std::byte* p, int g) {
    const std::uint32_t word = lattice::read_u32(p + word_at(g / 4));
    const auto point = std::uint16_t(lattice::byte_at(p, 2 + 8 * (g / 4) + g % 4));
    return {{point, 0}, lattice::even_signs(word >> 7 * (g % 4)), 0};
  }
  static void set_group(std::byte* p, int g, const lattice::LatticeGroup& group) {
    std::byte* at = p + word_at(g / 4);
    const int shift = 7 * (g % 4);
    lattice::write_u32(at, (lattice::read_u32(at) & ~(127u << shift)) | (group.signs & 127u) << shift);
    lattice::put_byte(p, 2 + 8 * (g / 4) + g % 4, group.point[0]);
  }
};

}  // namespace

extern const Format format_iq2_xxs;
constinit const Format format_iq2_xxs =
    lattice::make<Iq2Xxs>("iq2_xxs", "256 points for 8 values, even signs, 4-bit scales of 32; GGUF", 16);

}  // namespace pith
