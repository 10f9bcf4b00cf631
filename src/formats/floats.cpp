// f32, f16, bf16: no blocks and no scales; range searches have nothing to choose. What is too large becomes
// infinite, as IEEE 754 has it: callers check what they write.
#include <cstring>

#include "core/half.h"
#include "formats/format.h"
#include "kernels/decode.h"

namespace pith {
namespace {

template <dim Bytes>
dim bytes_of(const Format&, dim n) {
  return n * Bytes;
}

void fit_nothing(const Format&, const float*, const float*, dim, const RangeSearch&, std::byte*) {}

void decode_f32(const Format&, const std::byte* in, dim n, float* out) {
  std::memcpy(out, in, std::size_t(n) * sizeof(float));
}
void encode_f32(const Format&, const float* x, const float*, dim n, const RangeSearch&, std::byte* out) {
  std::memcpy(out, x, std::size_t(n) * sizeof(float));
}
float put_f32(const Format&, std::byte* block, dim, dim j, float value) {
  std::memcpy(block + 4 * j, &value, sizeof value);
  return value;
}

void decode_f16(const Format&, const std::byte* in, dim n, float* out) { kernels::decode_kernels().f16(in, n, out); }
void encode_f16(const Format&, const float* x, const float*, dim n, const RangeSearch&, std::byte* out) {
  kernels::decode_kernels().to_f16(x, n, out);
}
float put_f16(const Format&, std::byte* block, dim, dim j, float value) {
  kernels::decode_kernels().to_f16(&value, 1, block + 2 * j);
  float stored;
  kernels::decode_kernels().f16(block + 2 * j, 1, &stored);
  return stored;
}

void decode_bf16(const Format&, const std::byte* in, dim n, float* out) { kernels::decode_kernels().bf16(in, n, out); }
void encode_bf16(const Format&, const float* x, const float*, dim n, const RangeSearch&, std::byte* out) {
  kernels::decode_kernels().to_bf16(x, n, out);
}
float put_bf16(const Format&, std::byte* block, dim, dim j, float value) {
  kernels::decode_kernels().to_bf16(&value, 1, block + 2 * j);
  float stored;
  kernels::decode_kernels().bf16(block + 2 * j, 1, &stored);
  return stored;
}

}  // namespace

extern const Format format_f32 = {"f32", "32-bit floats", 1,          4,          "",          0,
                                  {},    bytes_of<4>,     decode_f32, encode_f32, fit_nothing, put_f32};
extern const Format format_f16 = {"f16", "16-bit IEEE floats", 1,          2,          "",          1,
                                  {},    bytes_of<2>,          decode_f16, encode_f16, fit_nothing, put_f16};
extern const Format format_bf16 = {"bf16",      "16-bit floats with the range of f32",
                                   1,           2,
                                   "",          30,
                                   {},          bytes_of<2>,
                                   decode_bf16, encode_bf16,
                                   fit_nothing, put_bf16};

const Format& f32_format() { return format_f32; }
const Format& f16_format() { return format_f16; }
const Format& bf16_format() { return format_bf16; }

}  // namespace pith
