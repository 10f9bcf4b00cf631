#include "formats/int_group.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/half.h"
#include "formats/bit_stream.h"
#include "formats/block_codec.h"
#include "kernels/decode.h"

namespace pith {
namespace {

dim head_bytes(const IntGroup& g) { return g.symmetric ? 2 : 3; }

dim int_row_bytes(const Format& f, dim n) {
  if (f.block != 0) return n / f.block * f.block_bytes;
  return n == 0 ? 0 : head_bytes(f.int_group) + code_bytes(n, f.int_group.bits);
}

// The grid of one group: value = (code - zero) * scale with code in [0, top].
struct Grid {
  float scale;
  int zero;
  int top;
};

Grid search(const IntGroup& g, const float* x, const float* w, dim n, const RangeSearch& r) {
  const int effort = g.bits == 8 ? 2 : 10, top = (1 << g.bits) - 1;
  const auto plan = plan_of(r, w != nullptr, effort, effort);
  const auto& k = kernels::search_kernels();
  if (g.symmetric) {
    const int half = 1 << (g.bits - 1);
    return {k.signed_scale(x, w, n, -half, plan), half, top};
  }
  const auto z = k.zero_point(x, w, n, top, plan);
  return {z.scale, z.zero, top};
}

void store(const IntGroup& g, const Grid& grid, std::byte* block) {
  store_f16(block, grid.scale);
  if (!g.symmetric) block[2] = std::byte(grid.zero);
}

Grid load(const IntGroup& g, const std::byte* block) {
  return {load_f16(block), g.symmetric ? 1 << (g.bits - 1) : int(block[2]), (1 << g.bits) - 1};
}

void decode_int(const Format& f, const std::byte* in, dim n, float* out) {
  const dim group = f.block ? f.block : n, step = f.block ? f.block_bytes : 0, head = head_bytes(f.int_group);
  for (dim i = 0; i < n; i += group, in += step, out += group) {
    const Grid grid = load(f.int_group, in);
    kernels::decode_kernels().int_codes(in + head, group, f.int_group.bits, grid.zero, grid.scale, out);
  }
}

void encode_group(const Format& f, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* block) {
  const IntGroup& g = f.int_group;
  const Grid grid = search(g, x, w, n, r);
  store(g, grid, block);
  constexpr dim kChunk = 256;
  std::uint8_t codes[kChunk];
  for (dim i = 0; i < n; i += kChunk) {
    const dim count = std::min(kChunk, n - i);
    kernels::search_kernels().codes(x + i, count, grid.scale, 0.0f, -grid.zero, grid.top - grid.zero, codes);
    pack_bits(codes, count, g.bits, block + head_bytes(g) + i * g.bits / 8);
  }
}

void encode_int(const Format& f, const float* x, const float* importance, dim n, const RangeSearch& r, std::byte* out) {
  const dim group = f.block ? f.block : n, step = f.block ? f.block_bytes : 0;
  for (dim i = 0; i < n; i += group, out += step)
    encode_group(f, x + i, importance ? importance + i : nullptr, group, r, out);
}

void fit_int(const Format& f, const float* x, const float* importance, dim n, const RangeSearch& r, std::byte* block) {
  std::memset(block, 0, std::size_t(head_bytes(f.int_group) + code_bytes(n, f.int_group.bits)));
  store(f.int_group, search(f.int_group, x, importance, n, r), block);
}

float put_int(const Format& f, std::byte* block, dim, dim j, float value) {
  const Grid grid = load(f.int_group, block);
  std::uint8_t code;
  kernels::search_kernels().codes(&value, 1, grid.scale, 0.0f, -grid.zero, grid.top - grid.zero, &code);
  set_code(block + head_bytes(f.int_group), j, f.int_group.bits, code);
  return float(int(code) - grid.zero) * grid.scale;
}

constexpr Format int_format(std::string_view name, std::string_view summary, std::string_view fallback, int bits,
                            dim group, bool symmetric) {
  const dim bytes = (symmetric ? 2 : 3) + group * bits / 8;
  return {name,          summary,    group,      bytes,   fallback, -1, {bits, symmetric, false},
          int_row_bytes, decode_int, encode_int, fit_int, put_int};
}

}  // namespace

#define PITH_INT_FORMATS(bits, name)                                                                                  \
  extern const Format format_##name##_row = int_format(                                                               \
      #name "_row", #bits "-bit codes, zero point, one scale per row; vLLM, transformers", "", bits, 0, false);       \
  extern const Format format_##name##_g32 =                                                                           \
      int_format(#name "_g32", #bits "-bit codes, zero point, one scale per 32; vLLM, transformers", #name "_row",    \
                 bits, 32, false);                                                                                    \
  extern const Format format_##name##_g64 =                                                                           \
      int_format(#name "_g64", #bits "-bit codes, zero point, one scale per 64; vLLM, transformers", #name "_g32",    \
                 bits, 64, false);                                                                                    \
  extern const Format format_##name##_g128 =                                                                          \
      int_format(#name "_g128", #bits "-bit codes, zero point, one scale per 128; vLLM, transformers", #name "_g64",  \
                 bits, 128, false);                                                                                   \
  extern const Format format_##name##_row_sym = int_format(                                                           \
      #name "_row_sym", #bits "-bit signed codes, one scale per row; vLLM, transformers", "", bits, 0, true);         \
  extern const Format format_##name##_g32_sym =                                                                       \
      int_format(#name "_g32_sym", #bits "-bit signed codes, one scale per 32; vLLM, transformers", #name "_row_sym", \
                 bits, 32, true);                                                                                     \
  extern const Format format_##name##_g64_sym =                                                                       \
      int_format(#name "_g64_sym", #bits "-bit signed codes, one scale per 64; vLLM, transformers", #name "_g32_sym", \
                 bits, 64, true);                                                                                     \
  extern const Format format_##name##_g128_sym =                                                                      \
      int_format(#name "_g128_sym", #bits "-bit signed codes, one scale per 128; vLLM, transformers",                 \
                 #name "_g64_sym", bits, 128, true);

PITH_INT_FORMATS(2, int2)
PITH_INT_FORMATS(3, int3)
PITH_INT_FORMATS(4, int4)
PITH_INT_FORMATS(5, int5)
PITH_INT_FORMATS(6, int6)
PITH_INT_FORMATS(7, int7)
PITH_INT_FORMATS(8, int8)

IntGroupParams int_group_params(const Format& f, dim cols) {
  PITH_CHECK(f.int_group.bits != 0 && !f.int_group.minimum && fits(f, cols));
  const dim group = f.block ? f.block : cols;
  return {f.int_group.bits, f.int_group.symmetric, group, group ? cols / group : 0,
          head_bytes(f.int_group) + code_bytes(group, f.int_group.bits)};
}

IntGroupScale unpack_int_group(const IntGroupParams& p, const std::byte* block, std::int8_t* codes) {
  const IntGroup g = {p.bits, p.symmetric, false};
  const int offset = p.symmetric ? 1 << (p.bits - 1) : 0;
  for (dim j = 0; j < p.group; ++j) codes[j] = std::int8_t(int(get_code(block + head_bytes(g), j, p.bits)) - offset);
  return {load_u16(block), p.symmetric ? 0 : int(block[2])};
}

void pack_int_group(const IntGroupParams& p, IntGroupScale scale, const std::int8_t* codes, std::byte* block) {
  const IntGroup g = {p.bits, p.symmetric, false};
  const int offset = p.symmetric ? 1 << (p.bits - 1) : 0;
  std::memset(block, 0, std::size_t(p.group_bytes));
  store_u16(block, scale.scale_bits);
  if (!p.symmetric) block[2] = std::byte(scale.zero);
  const std::uint32_t mask = (1u << p.bits) - 1;
  for (dim j = 0; j < p.group; ++j)
    set_code(block + head_bytes(g), j, p.bits, std::uint32_t(int(codes[j]) + offset) & mask);
}

}  // namespace pith
