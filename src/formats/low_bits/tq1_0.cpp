// tq1_0: 256 values of {-1, 0, 1} * d in 54 bytes, five or four trits to a byte.
//   0                               32                               48                     52      54
//   | byte m: trits of 32t+m, t < 5 | byte m: 160+16t+m, t < 5       | byte m: 240+4t+m, t<4 | d f16 |
// A byte is ceil(v * 256 / 243), v the number with the trits as base-3 digits, the first one highest; so trit t
// is the whole part of 3 * frac(byte / 256 * 3^t).
#include "formats/low_bits/ternary_block.h"

namespace pith {

struct Tq1_0 : Ternary {
  static constexpr dim kBytes = 54;
  struct Section {
    int first_value, bytes, first_byte, trits;
  };
  static constexpr Section kSections[3] = {{0, 32, 0, 5}, {160, 16, 32, 5}, {240, 4, 48, 4}};

  static void store(Grid d, std::byte* block) { store_f16(block + 52, d); }
  static Grid load(const std::byte* block) { return load_f16(block + 52); }
  static std::byte joined(int v) { return std::byte((v * 256 + 242) / 243); }
  static int trit(std::byte b, int t) {
    static constexpr int kPowers[5] = {1, 3, 9, 27, 81};
    return (int(b) * kPowers[t] & 255) * 3 >> 8;
  }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (const Section& s : kSections)
      for (int m = 0; m < s.bytes; m += 8) {  // numbers below 243, so eight bytes at a time never carry
        const auto width = std::size_t(s.bytes < 8 ? s.bytes : 8);
        std::uint64_t v = 0;
        for (int t = 0; t < 5; ++t) {
          std::uint64_t c = 0;
          if (t < s.trits) std::memcpy(&c, codes + s.first_value + t * s.bytes + m, width);
          v = v * 3 + c;
        }
        for (std::size_t k = 0; k < width; ++k) block[s.first_byte + m + int(k)] = joined(int(v >> (8 * k) & 255));
      }
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    const Section& s = kSections[j < 160 ? 0 : j < 240 ? 1 : 2];
    const int at = int(j) - s.first_value;
    std::byte& b = block[s.first_byte + at % s.bytes];
    int v = 0;
    for (int t = 0; t < 5; ++t) v = v * 3 + (t >= s.trits ? 0 : t == at / s.bytes ? code : trit(b, t));
    b = joined(v);
  }
  static void read_unit(const std::byte* block, std::uint8_t* codes, PanelUnit& unit) {
    unit.scale = load_u16(block + 52);
    for (const Section& s : kSections)
      for (int t = 0; t < s.trits; ++t)
        for (int m = 0; m < s.bytes; ++m)
          codes[s.first_value + t * s.bytes + m] = std::uint8_t(trit(block[s.first_byte + m], t));
  }
  static constexpr CodeUnits kUnits = {{.bits = 2, .zero = 1}, read_unit};
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; i += kBlock, in += kBytes, out += kBlock) {
      const float d = load(in);
      for (const Section& s : kSections)
        for (int t = 0; t < s.trits; ++t)
          for (int m = 0; m < s.bytes; ++m)
            out[s.first_value + t * s.bytes + m] = float(trit(in[s.first_byte + m], t) - 1) * d;
    }
  }
};

extern const Format format_tq1_0 =
    BlockCodec<Tq1_0>::format("tq1_0", "five three-valued weights to a byte, one scale per 256; GGUF", "q4_0", 34);

}  // namespace pith
