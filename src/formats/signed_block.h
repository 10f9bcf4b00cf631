// What q4_0 and q5_0 share: codes around zero, where the block's extreme gets the lowest code.
#pragma once
#include "formats/block_codec.h"
#include "kernels/decode.h"
#include "kernels/eight_blocks.h"

namespace pith {

template <int Bits>
struct SignedNibbles {
  static constexpr int kLow = -(1 << (Bits - 1)), kTop = -kLow - 1;
  static constexpr dim kBlock = 32, kBytes = Bits == 4 ? 18 : 22;
  static constexpr dim kNibbles = kBytes - 16;  // where they start
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 9); }
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    return kernels::search_kernels().signed_scale(x, w, kBlock, kLow, plan);
  }
  static void store(Grid d, std::byte* block) { store_f16(block, d); }
  static Grid load(const std::byte* block) { return load_f16(block); }
  static void codes(const float* x, Grid d, std::uint8_t* out) {
    kernels::search_kernels().codes(x, kBlock, d, 0.0f, kLow, kTop, out);
  }
  static std::uint8_t code(Grid d, float value) {
    std::uint8_t c;
    kernels::search_kernels().codes(&value, 1, d, 0.0f, kLow, kTop, &c);
    return c;
  }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    if constexpr (Bits == 5) pack_fifth_bits(codes, block + 2);
    pack_nibbles(codes, block + kNibbles);
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    if constexpr (Bits == 5) set_fifth_bit(block + 2, j, code);
    set_nibble(block + kNibbles, j, code);
  }
  static float value(Grid d, std::uint8_t code) { return float(int(code) + kLow) * d; }
};

}  // namespace pith
