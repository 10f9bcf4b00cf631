// kmeans2_row, kmeans3_row, kmeans4_row (SqueezeLLM, arXiv:2306.07629): each row has its own levels, those with the
// least (importance-weighted) squared error.
//   0                    2^(b+1)
//   | 2^b levels, f16    | codes of b bits, one stream, low bits first |      value = level[code], levels ascending
// Plain ranges (minmax) are evenly spaced levels from the least to the largest value.
#include <cmath>
#include <vector>

#include "core/half.h"
#include "formats/bit_stream.h"
#include "formats/block_codec.h"
#include "formats/levels/kmeans_levels.h"
#include "formats/scale_search.h"

namespace pith {

namespace {

constexpr dim kChunk = 256;

template <int Bits>
struct KmeansRow {
  static constexpr int kLevels = 1 << Bits;
  static constexpr dim kHead = 2 * kLevels;
  struct Levels {
    float value[16];  // ascending; from kLevels on the last again
  };

  static dim bytes_of(const Format&, dim n) { return n == 0 ? 0 : kHead + code_bytes(n, Bits); }

  static Levels load(const std::byte* row) {
    Levels levels;
    for (int i = 0; i < 16; ++i) levels.value[i] = load_f16(row + 2 * std::min(i, kLevels - 1));
    return levels;
  }
  // As they are stored: finite float16.
  static Levels rounded(const double* values) {
    Levels levels;
    for (int i = 0; i < 16; ++i) {
      const double v = std::clamp(values[std::min(i, kLevels - 1)], -65504.0, 65504.0);
      levels.value[i] = f16_to_f32(f32_to_f16(float(v)));
    }
    return levels;
  }

  // n <= kChunk. Of equal levels the first.
  static void codes(const Levels& levels, const float* x, dim n, std::uint8_t* out) {
    const dim whole = n & ~dim(7);
    kernels::search_kernels().table_codes(x, whole, 1.0f, levels.value, out);
    if (whole < n) {
      float eight[8] = {};
      std::uint8_t eight_codes[8];
      std::copy(x + whole, x + n, eight);
      kernels::search_kernels().table_codes(eight, 8, 1.0f, levels.value, eight_codes);
      std::copy(eight_codes, eight_codes + (n - whole), out + whole);
    }
    for (dim i = 0; i < n; ++i) out[i] = std::min<std::uint8_t>(out[i], kLevels - 1);
  }

  static float error(const Levels& levels, const float* x, const float* w, dim n, float unit, float p) {
    float sum = 0;
    const float* used = usable_weights(w, n);
    const float most = used ? largest_magnitude(used, n) : 1.0f;
    for (dim i = 0; i < n; i += kChunk) {
      const dim count = std::min(kChunk, n - i);
      std::uint8_t c[kChunk];
      float y[kChunk];
      codes(levels, x + i, count, c);
      for (dim k = 0; k < count; ++k) y[k] = levels.value[c[k]];
      // Each call divides by its own largest weight.
      const float* chunk_w = used ? usable_weights(used + i, count) : nullptr;
      if (used && !chunk_w) continue;
      const float share = chunk_w ? largest_magnitude(chunk_w, count) / most : 1.0f;
      sum += share * kernels::search_kernels().distance(x + i, y, chunk_w, count, unit, p);
    }
    return sum;
  }

  static Levels even(double low, double high) {
    double values[kLevels];
    for (int i = 0; i < kLevels; ++i) values[i] = low + (high - low) * i / (kLevels - 1);
    return rounded(values);
  }

  static Levels search(const float* x, const float* w, dim n, const RangeSearch& r) {
    const auto [least_at, most_at] = std::minmax_element(x, x + n);
    const double low = double(*least_at), high = double(*most_at);
    if (r.kind == RangeSearch::Kind::minmax) return even(low, high);
    double values[kLevels];
    kmeans_levels(x, usable_weights(w, n), n, kLevels, values);
    Levels best = rounded(values);
    if (r.kind == RangeSearch::Kind::best) return best;
    const float most = largest_magnitude(x, n);
    if (most == 0) return best;
    const float unit = 1.0f / most, p = float(r.p);
    float least = error(best, x, w, n, unit, p);
    for (int i = 0; i < r.steps; ++i) {
      const double part = 1 - double(i) / (1.25 * r.steps);
      const Levels levels = even(low * part, high * part);
      const float at = error(levels, x, w, n, unit, p);
      if (at < least) least = at, best = levels;
    }
    return best;
  }

  static void decode(const Format&, const std::byte* in, dim n, float* out) {
    if (n == 0) return;
    const Levels levels = load(in);
    std::uint8_t c[8];
    dim i = 0;
    for (; i + 8 <= n; i += 8) {
      unpack8<Bits>(in + kHead + i / 8 * Bits, c);
      for (dim k = 0; k < 8; ++k) out[i + k] = levels.value[c[k]];
    }
    for (; i < n; ++i) out[i] = levels.value[get_code(in + kHead, i, Bits)];
  }

  static void store(const Levels& levels, std::byte* row) {
    for (int i = 0; i < kLevels; ++i) store_f16(row + 2 * i, levels.value[i]);
  }

  static void encode(const Format&, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* out) {
    if (n == 0) return;
    const Levels levels = search(x, w, n, r);
    store(levels, out);
    std::uint8_t c[kChunk];
    for (dim i = 0; i < n; i += kChunk) {
      const dim count = std::min(kChunk, n - i);
      codes(levels, x + i, count, c);
      pack_bits(c, count, Bits, out + kHead + i / 8 * Bits);
    }
  }

  static void fit(const Format& f, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* row) {
    if (n == 0) return;
    std::memset(row, 0, std::size_t(bytes_of(f, n)));
    store(search(x, w, n, r), row);
  }

  static float put(const Format&, std::byte* row, dim, dim j, float value) {
    const Levels levels = load(row);
    std::uint8_t c;
    codes(levels, &value, 1, &c);
    set_code(row + kHead, j, Bits, c);
    return levels.value[c];
  }

  static constexpr Format format(std::string_view name, std::string_view summary) {
    return {name, summary, 0, 0, "", -1, {}, bytes_of, decode, encode, fit, put};
  }
};

}  // namespace

extern const Format format_kmeans2_row =
    KmeansRow<2>::format("kmeans2_row", "2-bit codes into a row's own table of levels");
extern const Format format_kmeans3_row =
    KmeansRow<3>::format("kmeans3_row", "3-bit codes into a row's own table of levels");
extern const Format format_kmeans4_row =
    KmeansRow<4>::format("kmeans4_row", "4-bit codes into a row's own table of levels");

}  // namespace pith
