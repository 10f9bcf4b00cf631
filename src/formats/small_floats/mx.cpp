// The microscaling formats of 8 and 6 bits (OCP MX 1.0), 32 values a block; value = element * 2^(e - 127).
//   mxfp8_e4m3, mxfp8_e5m2: | e E8M0 | 32 x u8 |                                    33 bytes
//   mxfp6_e2m3, mxfp6_e3m2: | e E8M0 | 32 x 6 bits, one stream, low bits first |    25 bytes
// The plain range (minmax) is the specification's: the exponent of the largest value less that of the largest element,
// so that up to a quarter of the range saturates. e = 255 is not a number; it is never made.
#include <cmath>

#include "formats/bit_stream.h"
#include "formats/block_codec.h"
#include "formats/scale_search.h"
#include "formats/small_floats/small_float.h"

namespace pith {

namespace {

template <class F>
struct Mx {
  static constexpr dim kBlock = 32, kBytes = 1 + kBlock * F::kBits / 8;
  static constexpr int kLeast = -127, kMost = 127;
  using Grid = int;  // the exponent e - 127

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 1, 1); }

  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    const float most = largest_magnitude(x, kBlock);
    const int start = most > 0 ? std::clamp(std::ilogb(most) - F::kTopExponent, kLeast, kMost) : kLeast;
    if (plan.aim == kernels::Aim::minmax || start == kLeast) return start;
    const float p = plan.aim == kernels::Aim::lp ? plan.p : 2.0f;
    const auto error = [&](int e) {
      float y[kBlock];
      for (dim i = 0; i < kBlock; ++i) y[i] = value(e, code(e, x[i]));
      return kernels::search_kernels().distance(x, y, w, kBlock, 1.0f / most, p);
    };
    int best = start;
    float least = error(start);
    for (const int e : {start + 1, start - 1}) {
      if (e < kLeast || e > kMost) continue;
      const float at = error(e);
      if (at < least) least = at, best = e;
    }
    return best;
  }

  static void store(Grid e, std::byte* block) { block[0] = std::byte(e + 127); }
  static Grid load(const std::byte* block) { return std::to_integer<int>(block[0]) - 127; }

  static float scale_of(Grid e) {
    if (e > kMost) return std::numeric_limits<float>::quiet_NaN();
    return e < -126 ? 0.5f * power_of_two(e + 1) : power_of_two(e);
  }
  static std::uint8_t code(Grid e, float v) { return F::code(v * scale_of(-e)); }
  static float value(Grid e, std::uint8_t c) { return F::value(c) * scale_of(e); }
  static void codes(const float* x, Grid e, std::uint8_t* out) {
    for (dim i = 0; i < kBlock; ++i) out[i] = code(e, x[i]);
  }

  static void pack(const std::uint8_t* codes, std::byte* block) { pack_bits(codes, kBlock, F::kBits, block + 1); }
  static void unpack(const std::byte* block, std::uint8_t* codes) {
    for (dim i = 0; i < kBlock; i += 8) unpack8<F::kBits>(block + 1 + i / 8 * F::kBits, codes + i);
  }
  static void set(std::byte* block, dim j, std::uint8_t code) { set_code(block + 1, j, F::kBits, code); }
  static void decode_row(const std::byte* in, dim n, float* out) {
    std::uint8_t codes[kBlock];
    for (dim i = 0; i < n; i += kBlock, in += kBytes) {
      const float scale = scale_of(load(in));
      unpack(in, codes);
      for (dim j = 0; j < kBlock; ++j) out[i + j] = F::value(codes[j]) * scale;
    }
  }
};

}  // namespace

extern const Format format_mxfp8_e4m3 =
    BlockCodec<Mx<E4M3>>::format("mxfp8_e4m3", "8-bit floats up to 448, a power of two per 32", "fp8_e4m3", -1);
extern const Format format_mxfp8_e5m2 =
    BlockCodec<Mx<E5M2>>::format("mxfp8_e5m2", "8-bit floats up to 57344, a power of two per 32", "fp8_e5m2", -1);
extern const Format format_mxfp6_e2m3 =
    BlockCodec<Mx<E2M3>>::format("mxfp6_e2m3", "6-bit floats up to 7.5, a power of two per 32", "fp8_e4m3", -1);
extern const Format format_mxfp6_e3m2 =
    BlockCodec<Mx<E3M2>>::format("mxfp6_e3m2", "6-bit floats up to 28, a power of two per 32", "fp8_e4m3", -1);

}  // namespace pith
