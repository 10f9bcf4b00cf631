// q8_0: 32 values in 34 bytes; value = code * d.
//   0       2         34
//   | d f16 | 32 x i8 |
#include "formats/block_codec.h"
#include "kernels/decode.h"

namespace pith {

struct Q8_0 {
  static constexpr dim kBlock = 32, kBytes = 34;
  static constexpr int kTop = 127;
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 4); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return kernels::search_kernels().even_scale(x, w, kBlock, kTop, plan);
  }
  static void store(Grid d, std::byte* block) { store_f16(block, d); }
  static Grid load(const std::byte* block) { return load_f16(block); }
  static void codes(const float* x, Grid d, std::uint8_t* out) {  // code + 127
    kernels::search_kernels().codes(x, kBlock, d, 0.0f, -kTop, kTop, out);
  }
  static std::uint8_t code(Grid d, float value) {
    std::uint8_t c;
    kernels::search_kernels().codes(&value, 1, d, 0.0f, -kTop, kTop, &c);
    return c;
  }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (dim j = 0; j < kBlock; ++j) block[2 + j] = std::byte(codes[j] - kTop);
  }
  static void set(std::byte* block, dim j, std::uint8_t code) { block[2 + j] = std::byte(code - kTop); }
  static float value(Grid d, std::uint8_t code) { return float(int(code) - kTop) * d; }
  static void decode_row(const std::byte* in, dim n, float* out) { kernels::decode_kernels().q8_0(in, n, out); }
};

extern const Format format_q8_0 = BlockCodec<Q8_0>::format("q8_0", "8-bit codes, one scale per 32; GGUF", "f16", 8);

}  // namespace pith
