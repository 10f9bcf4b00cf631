// Turns the few facts that make up a block format into the functions of a Format. A codec C has
//   kBlock, kBytes;  struct Grid (the stored scales);
//   Grid search(x, w, plan)            finds the scales of a block; w may be null
//   void store(Grid, block);  Grid load(block)
//   void codes(x, Grid, uint8* out)    the code of each of the kBlock values
//   void pack(codes, block)            stores kBlock codes
//   uint8 code(Grid, value)            as `codes`, for one value
//   void set(block, j, code)
//   float value(Grid, code)            as the row decoder computes it
//   void decode_row(in, n, out)
//   void encode_eight(x, out)          if eight blocks are faster together (kernels/eight_blocks.h), the same bytes
//   CodeUnits kUnits                   if its blocks come apart (formats/code_units.h)
#pragma once
#include <cstring>

#include "core/half.h"
#include "formats/code_units.h"
#include "kernels/search.h"

namespace pith {

inline dim whole_blocks(const Format& f, dim n) { return n / f.block * f.block_bytes; }

// `effort`: candidates on each side without and with importance weights.
inline kernels::SearchPlan plan_of(const RangeSearch& r, bool weighted, int plain_effort, int weighted_effort) {
  const auto aim = r.kind == RangeSearch::Kind::best     ? kernels::Aim::best
                   : r.kind == RangeSearch::Kind::minmax ? kernels::Aim::minmax
                                                         : kernels::Aim::lp;
  return {aim, float(r.p), r.steps, weighted ? weighted_effort : plain_effort};
}

inline std::uint16_t load_u16(const std::byte* p) {
  std::uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store_u16(std::byte* p, std::uint16_t v) { std::memcpy(p, &v, sizeof v); }
inline float load_f16(const std::byte* p) { return f16_to_f32(load_u16(p)); }
inline void store_f16(std::byte* p, float v) { store_u16(p, f32_to_f16(v)); }

// Byte j of a 32-block holds element j in its low and element j + 16 in its high nibble.
inline void pack_nibbles(const std::uint8_t* codes, std::byte* out) {
  std::uint64_t c[4];
  std::memcpy(c, codes, sizeof c);
  constexpr std::uint64_t kLow = 0x0f0f0f0f0f0f0f0full;
  const std::uint64_t packed[2] = {(c[0] & kLow) | (c[2] & kLow) << 4, (c[1] & kLow) | (c[3] & kLow) << 4};
  std::memcpy(out, packed, sizeof packed);
}
inline void set_nibble(std::byte* nibbles, dim j, std::uint8_t code) {
  std::byte& b = nibbles[j & 15];
  b = j < 16 ? (b & std::byte{0xf0}) | std::byte(code & 15) : (b & std::byte{0x0f}) | std::byte((code & 15) << 4);
}

inline void read_nibbles(const std::byte* in, std::uint8_t* codes) {
  std::uint8_t bytes[16];
  std::memcpy(bytes, in, sizeof bytes);
  for (dim j = 0; j < 16; ++j) codes[j] = bytes[j] & 15;
  for (dim j = 0; j < 16; ++j) codes[j + 16] = bytes[j] >> 4;
}

// Bit 4 of element i as bit i of 32.
inline void pack_fifth_bits(const std::uint8_t* codes, std::byte* out) {
  std::uint64_t c[4];
  std::memcpy(c, codes, sizeof c);
  for (int i = 0; i < 4; ++i) out[i] = std::byte(((c[i] >> 4 & 0x0101010101010101ull) * 0x0102040810204080ull) >> 56);
}
inline void set_fifth_bit(std::byte* bits, dim j, std::uint8_t code) {
  const auto mask = std::byte(1 << (j & 7));
  std::byte& b = bits[j >> 3];
  b = code & 16 ? b | mask : b & ~mask;
}

template <class C>
struct BlockCodec {
  static void decode(const Format&, const std::byte* in, dim n, float* out) { C::decode_row(in, n, out); }

  static void encode(const Format&, const float* x, const float* importance, dim n, const RangeSearch& r,
                     std::byte* out) {
    alignas(32) std::uint8_t codes[C::kBlock];
    const auto plan = C::plan(r, importance != nullptr);
    dim i = 0;
    if constexpr (requires { C::encode_eight; })
      if (!importance && plan.aim == kernels::Aim::best && plan.effort == 0)
        for (; i + 8 * C::kBlock <= n; i += 8 * C::kBlock, out += 8 * C::kBytes) C::encode_eight(x + i, out);
    for (; i < n; i += C::kBlock, out += C::kBytes) {
      const auto grid = C::search(x + i, importance ? importance + i : nullptr, plan);
      C::store(grid, out);
      C::codes(x + i, grid, codes);
      C::pack(codes, out);
    }
  }

  static void fit(const Format&, const float* x, const float* importance, dim, const RangeSearch& r, std::byte* block) {
    std::memset(block, 0, std::size_t(C::kBytes));
    C::store(C::search(x, importance, C::plan(r, importance != nullptr)), block);
  }

  static float put(const Format&, std::byte* block, dim, dim j, float value) {
    const auto grid = C::load(block);
    const std::uint8_t code = C::code(grid, value);
    C::set(block, j, code);
    return C::value(grid, code);
  }

  static constexpr Format format(std::string_view name, std::string_view summary, std::string_view fallback,
                                 int gguf_type) {
    Format f{name, summary, C::kBlock, C::kBytes, fallback, gguf_type, {}, whole_blocks, decode, encode, fit, put};
    if constexpr (requires { C::kUnits; }) f.units = &C::kUnits;
    return f;
  }
};

}  // namespace pith
