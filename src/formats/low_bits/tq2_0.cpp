// tq2_0: 256 values of {-1, 0, 1} * d in 66 bytes, 2 bits each.
//   0                                                       64      66
//   | 2 x 32 bytes: byte m of half h has 128h+32l+m at 2l  | d f16 |
#include "formats/low_bits/ternary_block.h"

namespace pith {

struct Tq2_0 : Ternary {
  static constexpr dim kBytes = 66;

  static void store(Grid d, std::byte* block) { store_f16(block + 64, d); }
  static Grid load(const std::byte* block) { return load_f16(block + 64); }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (int word = 0; word < 8; ++word) {  // 8 bytes at a time
      std::uint64_t packed = 0, c;
      for (int l = 0; l < 4; ++l) {
        std::memcpy(&c, codes + 128 * (word / 4) + 32 * l + 8 * (word % 4), sizeof c);
        packed |= c << (2 * l);
      }
      std::memcpy(block + 8 * word, &packed, sizeof packed);
    }
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    std::byte& b = block[j / 128 * 32 + j % 32];
    const int shift = int(j % 128 / 32) * 2;
    b = (b & ~std::byte(3 << shift)) | std::byte(code << shift);
  }
  static void read_unit(const std::byte* block, std::uint8_t* codes, PanelUnit& unit) {
    unit.scale = load_u16(block + 64);
    for (dim j = 0; j < kBlock; ++j)
      codes[j] = std::uint8_t(std::uint8_t(block[j / 128 * 32 + j % 32]) >> j % 128 / 32 * 2 & 3);
  }
  static constexpr CodeUnits kUnits = {{.bits = 2, .zero = 1}, read_unit};
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; i += kBlock, in += kBytes, out += kBlock) {
      const float d = load(in);
      for (int h = 0; h < 2; ++h)
        for (int l = 0; l < 4; ++l)
          for (int m = 0; m < 32; ++m) out[128 * h + 32 * l + m] = float((int(in[32 * h + m]) >> (2 * l) & 3) - 1) * d;
    }
  }
};

extern const Format format_tq2_0 =
    BlockCodec<Tq2_0>::format("tq2_0", "three values in 2 bits, one scale per 256; GGUF", "q4_0", 35);

}  // namespace pith
