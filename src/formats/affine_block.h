// What q4_1 and q5_1 share: a scale and a minimum.
#pragma once
#include "formats/block_codec.h"
#include "kernels/decode.h"
#include "kernels/eight_blocks.h"

namespace pith {

template <int Bits>
struct AffineNibbles {
  static constexpr int kTop = (1 << Bits) - 1;
  static constexpr dim kBlock = 32, kBytes = Bits == 4 ? 20 : 24;
  static constexpr dim kNibbles = kBytes - 16;  // where they start
  using Grid = kernels::Affine;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 9); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return kernels::search_kernels().affine(x, w, kBlock, kTop, plan);
  }
  static void store(Grid g, std::byte* block) {
    store_f16(block, g.scale);
    store_f16(block + 2, g.min);
  }
  static Grid load(const std::byte* block) { return {load_f16(block), load_f16(block + 2)}; }
  static void codes(const float* x, Grid g, std::uint8_t* out) {
    kernels::search_kernels().codes(x, kBlock, g.scale, g.min, 0, kTop, out);
  }
  static std::uint8_t code(Grid g, float value) {
    std::uint8_t c;
    kernels::search_kernels().codes(&value, 1, g.scale, g.min, 0, kTop, &c);
    return c;
  }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    if constexpr (Bits == 5) pack_fifth_bits(codes, block + 4);
    pack_nibbles(codes, block + kNibbles);
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    if constexpr (Bits == 5) set_fifth_bit(block + 4, j, code);
    set_nibble(block + kNibbles, j, code);
  }
  static float value(Grid g, std::uint8_t code) { return float(code) * g.scale + g.min; }
};

}  // namespace pith
