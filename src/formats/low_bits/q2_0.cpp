// q2_0: 64 values of {-1, 0, 1, 2} * d in 18 bytes; d may be negative.
//   0       2                              18
//   | d f16 | 4 codes of 2 bits to a byte  |
#include "formats/block_codec.h"

namespace pith {

struct Q2_0 {
  static constexpr dim kBlock = 64, kBytes = 18;
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 14, 14); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return 0.0f - kernels::search_kernels().signed_scale(x, w, kBlock, -2, plan);  // codes -2..1, mirrored
  }
  static void store(Grid d, std::byte* block) { store_f16(block, d); }
  static Grid load(const std::byte* block) { return load_f16(block); }
  static void codes(const float* x, Grid d, std::uint8_t* out) {
    kernels::search_kernels().codes(x, kBlock, d, 0.0f, -1, 2, out);
  }
  static std::uint8_t code(Grid d, float value) {
    std::uint8_t c;
    kernels::search_kernels().codes(&value, 1, d, 0.0f, -1, 2, &c);
    return c;
  }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (int i = 0; i < 16; ++i, codes += 4)
      block[2 + i] = std::byte(codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6);
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    const int shift = int(j % 4) * 2;
    std::byte& b = block[2 + j / 4];
    b = (b & ~std::byte(3 << shift)) | std::byte(code << shift);
  }
  static float value(Grid d, std::uint8_t code) { return float(int(code) - 1) * d; }
  static void read_unit(const std::byte* block, std::uint8_t* codes, PanelUnit& unit) {
    unit.scale = load_u16(block);
    for (dim j = 0; j < kBlock; ++j) codes[j] = std::uint8_t(std::uint8_t(block[2 + j / 4]) >> j % 4 * 2 & 3);
  }
  static constexpr CodeUnits kUnits = {{.bits = 2, .zero = 1}, read_unit};
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; i += kBlock, in += kBytes) {
      const float d = load(in);
      for (int k = 0; k < 16; ++k)
        for (int l = 0; l < 4; ++l) *out++ = float((int(in[2 + k]) >> (2 * l) & 3) - 1) * d;
    }
  }
};

extern const Format format_q2_0 =
    BlockCodec<Q2_0>::format("q2_0", "four values in 2 bits, one scale per 64; GGUF", "q4_0", 42);

}  // namespace pith
