#include "formats/small_floats/nvfp4_row.h"

#include <cmath>
#include <cstring>

#include "formats/block_codec.h"
#include "formats/scale_search.h"
#include "formats/small_floats/small_float.h"

namespace pith {

namespace {

constexpr int kTopScale = 0x7e;  // the code of 448

float load_global(const std::byte* row) {
  float global;
  std::memcpy(&global, row, sizeof global);
  return global;
}

dim length_of(dim block, dim n) { return std::min(kNvfp4Block, n - block * kNvfp4Block); }

std::uint8_t code_of(float scale, float value) { return scale == 0 ? 0 : E2M1::code(value / scale); }

// The largest scale of a block, a sixth of its largest value, comes to lie in (128, 256]: half the range of E4M3 is
// left for what a search may add.
float global_for(float most) {
  if (most == 0) return 0;
  int exponent = 0;
  const double fraction = std::frexp(double(most) / (6 * 256), &exponent);  // in [.5, 1)
  return power_of_two(std::clamp(fraction == 0.5 ? exponent - 1 : exponent, -126, 127));
}

struct Block {
  const float* x;
  const float* w;
  dim n;
};

std::uint8_t scale_code(const Block& b, float global, const kernels::SearchPlan& plan) {
  const float most = largest_magnitude(b.x, b.n);
  if (most == 0 || global == 0) return 0;
  const int start = E4M3::code(most / 6 / global);
  if (plan.aim == kernels::Aim::minmax) return std::uint8_t(start);
  const bool lp = plan.aim == kernels::Aim::lp;
  const auto error = [&](int code) {
    const float scale = E4M3::value(std::uint8_t(code)) * global;
    float y[kNvfp4Block];
    for (dim i = 0; i < b.n; ++i) y[i] = E2M1::value(code_of(scale, b.x[i])) * scale;
    return kernels::search_kernels().distance(b.x, y, b.w, b.n, 1.0f / most, lp ? plan.p : 2.0f);
  };
  int best = start;
  float least = error(start);
  // Eight codes are a factor of two.
  for (int code = std::max(start - 8, 0); code <= std::min(start + 8, kTopScale); ++code) {
    if (code == start) continue;
    const float at = error(code);
    if (at < least) least = at, best = code;
  }
  return std::uint8_t(best);
}

float scale_of(const Nvfp4RowLayout& at, const std::byte* row, dim block) {
  return E4M3::value(std::to_integer<std::uint8_t>(row[at.scales + block])) * load_global(row);
}

void set_low_first(std::byte* codes, dim j, std::uint8_t code) {
  std::byte& b = codes[j / 2];
  b = j % 2 ? (b & std::byte{0x0f}) | std::byte(code << 4) : (b & std::byte{0xf0}) | std::byte(code);
}

dim bytes_of(const Format&, dim n) { return nvfp4_row_layout(n).bytes; }

void decode(const Format&, const std::byte* in, dim n, float* out) {
  const auto at = nvfp4_row_layout(n);
  for (dim b = 0; b < at.blocks; ++b) {
    const float scale = scale_of(at, in, b);
    float values[16];
    for (int c = 0; c < 16; ++c) values[c] = E2M1::value(std::uint8_t(c)) * scale;
    for (dim i = b * kNvfp4Block, end = i + length_of(b, n); i < end; ++i)
      out[i] = values[std::to_integer<unsigned>(in[at.codes + i / 2]) >> (i % 2 * 4) & 15];
  }
}

void fit(const Format&, const float* x, const float* importance, dim n, const RangeSearch& r, std::byte* row) {
  if (n == 0) return;
  const auto at = nvfp4_row_layout(n);
  std::memset(row, 0, std::size_t(at.bytes));
  const float global = global_for(largest_magnitude(x, n));
  std::memcpy(row, &global, sizeof global);
  const auto plan = plan_of(r, importance != nullptr, 0, 0);
  for (dim b = 0; b < at.blocks; ++b) {
    const dim i = b * kNvfp4Block;
    row[at.scales + b] =
        std::byte(scale_code({x + i, importance ? importance + i : nullptr, length_of(b, n)}, global, plan));
  }
}

float put(const Format&, std::byte* row, dim n, dim j, float value) {
  const auto at = nvfp4_row_layout(n);
  const float scale = scale_of(at, row, j / kNvfp4Block);
  const std::uint8_t code = code_of(scale, value);
  set_low_first(row + at.codes, j, code);
  return E2M1::value(code) * scale;
}

void encode(const Format& f, const float* x, const float* importance, dim n, const RangeSearch& r, std::byte* row) {
  fit(f, x, importance, n, r, row);
  const auto at = nvfp4_row_layout(n);
  for (dim i = 0; i < n; ++i)
    row[at.codes + i / 2] |= std::byte(code_of(scale_of(at, row, i / kNvfp4Block), x[i]) << (i % 2 * 4));
}

}  // namespace

Nvfp4RowLayout nvfp4_row_layout(dim n) {
  if (n == 0) return {};
  const dim blocks = (n + kNvfp4Block - 1) / kNvfp4Block;
  return {blocks, 4, 4 + blocks, 4 + blocks + (n + 1) / 2};
}

extern const Format format_nvfp4_row = {"nvfp4_row", "4-bit floats, 8-bit float scales per 16, one scale per row",
                                        0,           0,
                                        "",          -1,
                                        {},          bytes_of,
                                        decode,      encode,
                                        fit,         put};

}  // namespace pith
