#include "formats/small_floats/fp8.h"

#include <cstring>
#include <vector>

#include "formats/block_codec.h"
#include "formats/scale_search.h"
#include "formats/small_floats/small_float.h"

namespace pith {

namespace {

template <class F>
struct Fp8 {
  static constexpr int kEffort = 2;

  static dim bytes_of(const Format& f, dim n) {
    if (f.block > 0) return n / f.block * f.block_bytes;
    return n == 0 ? 0 : kFp8ScaleBytes + n;
  }

  static float load(const std::byte* block) {
    float scale;
    std::memcpy(&scale, block, sizeof scale);
    return scale;
  }

  // Divides, since the inverse of a scale rounds.
  static std::uint8_t code(float scale, float value) { return scale == 0 ? 0 : F::code(value / scale); }

  static float search(const float* x, const float* w, dim n, const RangeSearch& r) {
    std::vector<float> y(static_cast<std::size_t>(n));
    return search_scale({x, w, n, F::kTop}, plan_of(r, w != nullptr, kEffort, kEffort), y.data(),
                        [&](float scale, float* out) {
                          for (dim i = 0; i < n; ++i) out[i] = F::value(code(scale, x[i])) * scale;
                        });
  }

  static void decode_block(const std::byte* in, dim n, float* out) {
    const float scale = load(in);
    for (dim i = 0; i < n; ++i) out[i] = F::value(std::to_integer<std::uint8_t>(in[kFp8ScaleBytes + i])) * scale;
  }
  static void encode_block(const float* x, const float* w, dim n, const RangeSearch& r, std::byte* out) {
    const float scale = search(x, w, n, r);
    std::memcpy(out, &scale, sizeof scale);
    for (dim i = 0; i < n; ++i) out[kFp8ScaleBytes + i] = std::byte(code(scale, x[i]));
  }

  static void decode(const Format& f, const std::byte* in, dim n, float* out) {
    if (f.block == 0) {
      if (n > 0) decode_block(in, n, out);
      return;
    }
    for (dim i = 0; i < n; i += f.block, in += f.block_bytes) decode_block(in, f.block, out + i);
  }
  static void encode(const Format& f, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* out) {
    if (f.block == 0) {
      if (n > 0) encode_block(x, w, n, r, out);
      return;
    }
    for (dim i = 0; i < n; i += f.block, out += f.block_bytes)
      encode_block(x + i, w ? w + i : nullptr, f.block, r, out);
  }
  static void fit(const Format&, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* block) {
    if (n == 0) return;
    std::memset(block, 0, std::size_t(kFp8ScaleBytes + n));
    const float scale = search(x, w, n, r);
    std::memcpy(block, &scale, sizeof scale);
  }
  static float put(const Format&, std::byte* block, dim, dim j, float value) {
    const float scale = load(block);
    const std::uint8_t c = code(scale, value);
    block[kFp8ScaleBytes + j] = std::byte(c);
    return F::value(c) * scale;
  }

  static constexpr Format format(std::string_view name, std::string_view summary, std::string_view fallback,
                                 dim block) {
    return {name,   summary, block, block ? kFp8ScaleBytes + block : 0, fallback, -1, {}, bytes_of, decode,
            encode, fit,     put};
  }
};

// Codes without a scale.
template <class F>
struct Fp8Cast {
  static dim bytes_of(const Format&, dim n) { return n; }
  static void decode(const Format&, const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; ++i) out[i] = F::value(std::to_integer<std::uint8_t>(in[i]));
  }
  static void encode(const Format&, const float* x, const float*, dim n, const RangeSearch&, std::byte* out) {
    for (dim i = 0; i < n; ++i) out[i] = std::byte(F::code(x[i]));
  }
  static void fit(const Format&, const float*, const float*, dim, const RangeSearch&, std::byte*) {}
  static float put(const Format&, std::byte* block, dim, dim j, float value) {
    const std::uint8_t c = F::code(value);
    block[j] = std::byte(c);
    return F::value(c);
  }
  static constexpr Format format(std::string_view name, std::string_view summary) {
    return {name, summary, 0, 0, "", -1, {}, bytes_of, decode, encode, fit, put};
  }
};

}  // namespace

extern const Format format_fp8_e4m3 =
    Fp8<E4M3>::format("fp8_e4m3", "8-bit floats up to 448, one scale per row; vLLM, transformers", "", 0);
extern const Format format_fp8_e4m3_g128 =
    Fp8<E4M3>::format("fp8_e4m3_g128", "8-bit floats up to 448, one scale per 128", "fp8_e4m3", 128);
extern const Format format_fp8_e4m3_cast =
    Fp8Cast<E4M3>::format("fp8_e4m3_cast", "8-bit floats up to 448, no scale: larger values saturate");
extern const Format format_fp8_e5m2 =
    Fp8<E5M2>::format("fp8_e5m2", "8-bit floats up to 57344, one scale per row", "", 0);
extern const Format format_fp8_e5m2_g128 =
    Fp8<E5M2>::format("fp8_e5m2_g128", "8-bit floats up to 57344, one scale per 128", "fp8_e5m2", 128);
extern const Format format_fp8_e5m2_cast =
    Fp8Cast<E5M2>::format("fp8_e5m2_cast", "8-bit floats up to 57344, no scale: larger values saturate");

}  // namespace pith
