// The group formats affine{2,3,4,5,6,8}_g{32,64,128}, MLX's "affine": value = code * scale + minimum.
//   0       2         4
//   | scale | minimum | codes, low bits first |        scale (which may be negative) and minimum are float16
#include <cstring>

#include "formats/bit_stream.h"
#include "formats/block_codec.h"

namespace pith {
namespace {

constexpr dim kHeadBytes = 4;

using Grid = kernels::Affine;

int top_of(const Format& f) { return (1 << f.int_group.bits) - 1; }

Grid load(const std::byte* block) { return {load_f16(block), load_f16(block + 2)}; }

void fit_affine(const Format& f, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* block) {
  std::memset(block, 0, std::size_t(f.block_bytes));
  const int effort = f.int_group.bits == 8 ? 2 : 9;
  const Grid grid = kernels::search_kernels().affine(x, w, n, top_of(f), plan_of(r, w != nullptr, 0, effort));
  store_f16(block, grid.scale);
  store_f16(block + 2, grid.min);
}

void encode_affine(const Format& f, const float* x, const float* importance, dim n, const RangeSearch& r,
                   std::byte* out) {
  constexpr dim kMostBlock = 128;
  std::uint8_t codes[kMostBlock];
  for (dim i = 0; i < n; i += f.block, out += f.block_bytes) {
    fit_affine(f, x + i, importance ? importance + i : nullptr, f.block, r, out);
    const Grid grid = load(out);
    kernels::search_kernels().codes(x + i, f.block, grid.scale, grid.min, 0, top_of(f), codes);
    for (dim j = 0; j < f.block; ++j) set_code(out + kHeadBytes, j, f.int_group.bits, codes[j]);
  }
}

void decode_affine(const Format& f, const std::byte* in, dim n, float* out) {
  const int bits = f.int_group.bits;
  for (dim i = 0; i < n; i += f.block, in += f.block_bytes, out += f.block) {
    const Grid grid = load(in);
    for (dim j = 0; j < f.block; ++j) out[j] = float(get_code(in + kHeadBytes, j, bits)) * grid.scale + grid.min;
  }
}

float put_affine(const Format& f, std::byte* block, dim, dim j, float value) {
  const Grid grid = load(block);
  std::uint8_t code;
  kernels::search_kernels().codes(&value, 1, grid.scale, grid.min, 0, top_of(f), &code);
  set_code(block + kHeadBytes, j, f.int_group.bits, code);
  return float(code) * grid.scale + grid.min;
}

constexpr Format affine_format(std::string_view name, std::string_view summary, std::string_view fallback, int bits,
                               dim group) {
  return {name,
          summary,
          group,
          kHeadBytes + group * bits / 8,
          fallback,
          -1,
          {bits, false, true},
          whole_blocks,
          decode_affine,
          encode_affine,
          fit_affine,
          put_affine};
}

}  // namespace

#define PITH_AFFINE_FORMATS(bits, name)                                                                       \
  extern const Format format_##name##_g32 =                                                                   \
      affine_format(#name "_g32", #bits "-bit codes, scale and minimum per 32; MLX", "f16", bits, 32);        \
  extern const Format format_##name##_g64 =                                                                   \
      affine_format(#name "_g64", #bits "-bit codes, scale and minimum per 64; MLX", #name "_g32", bits, 64); \
  extern const Format format_##name##_g128 =                                                                  \
      affine_format(#name "_g128", #bits "-bit codes, scale and minimum per 128; MLX", #name "_g64", bits, 128);

PITH_AFFINE_FORMATS(2, affine2)
PITH_AFFINE_FORMATS(3, affine3)
PITH_AFFINE_FORMATS(4, affine4)
PITH_AFFINE_FORMATS(5, affine5)
PITH_AFFINE_FORMATS(6, affine6)
PITH_AFFINE_FORMATS(8, affine8)

}  // namespace pith
