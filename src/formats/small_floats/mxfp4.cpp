// mxfp4 (OCP microscaling): 32 values in 17 bytes; value = E2M1(code) * 2^(e - 127).
//   0        1                      17
//   | e E8M0 | 16 x (j | j+16 << 4) |       code = sign << 3 | magnitude of 0, .5, 1, 1.5, 2, 3, 4, 6
#include "formats/block_codec.h"
#include "kernels/decode.h"

namespace pith {

struct Mxfp4 {
  static constexpr dim kBlock = 32, kBytes = 17;
  using Grid = int;  // the exponent e - 127

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 0); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return kernels::search_kernels().mx_exponent(x, w, kBlock, plan);
  }
  static void store(Grid e, std::byte* block) { block[0] = std::byte(e + 127); }
  static Grid load(const std::byte* block) { return int(block[0]) - 127; }
  static void codes(const float* x, Grid e, std::uint8_t* out) {
    kernels::search_kernels().mx_codes(x, kBlock, e, out);
  }
  static std::uint8_t code(Grid e, float value) {
    const float eight[8] = {value};
    std::uint8_t c[8];
    kernels::search_kernels().mx_codes(eight, 8, e, c);
    return c[0];
  }
  static void pack(const std::uint8_t* codes, std::byte* block) { pack_nibbles(codes, block + 1); }
  static void set(std::byte* block, dim j, std::uint8_t code) { set_nibble(block + 1, j, code); }
  static float value(Grid e, std::uint8_t code) {
    std::byte block[kBytes] = {std::byte(e + 127), std::byte(code)};
    float out[kBlock];
    kernels::decode_kernels().mxfp4(block, kBlock, out);
    return out[0];
  }
  // Twice the values are whole numbers; half the scale is a bfloat16, subnormal for the least exponents.
  static constexpr std::int8_t kTwice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  static void read_unit(const std::byte* block, std::uint8_t* codes, PanelUnit& unit) {
    const int e = int(block[0]);
    unit.scale = e >= 2 ? std::uint16_t((e - 1) << 7) : std::uint16_t(0x40 >> (1 - e));
    read_nibbles(block + 1, codes);
  }
  static constexpr CodeUnits kUnits = {{.bits = 4, .zero = 128, .bfloat_scale = true, .levels = kTwice}, read_unit};
  static void decode_row(const std::byte* in, dim n, float* out) { kernels::decode_kernels().mxfp4(in, n, out); }
};

extern const Format format_mxfp4 =
    BlockCodec<Mxfp4>::format("mxfp4", "4-bit floats, a power of two per 32; GGUF", "f16", 39);

}  // namespace pith
