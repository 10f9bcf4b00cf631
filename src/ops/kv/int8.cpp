// Eight bits, symmetric, one scale for each token and head.
#include <algorithm>
#include <cmath>

#include "kernels/kv_codes.h"
#include "ops/kv/half_bytes.h"
#include "ops/kv/kv_codec.h"

namespace pith {

extern const KvCodec int8_kv_codec;

namespace {

constexpr float kTop = 127, kZero = 128;

// A float16 scale, then head_dim codes, each 128 more than its number.
void encode(const KvSide& s, const float* x, std::byte* out) {
  float most = 0;
  for (dim i = 0; i < s.head_dim; ++i) most = std::max(most, std::abs(x[i]));
  const float scale = to_finite_half(most / kTop), inverse = scale > 0 ? 1 / scale : 0;
  store_half(out, scale);
  for (dim i = 0; i < s.head_dim; ++i) {
    const float code = std::clamp(x[i] * inverse, -kTop, kTop) + (kZero + 0.5f);
    out[2 + i] = std::byte(code > 0 ? unsigned(code) : unsigned(kZero));
  }
}

void decode(const KvSide& s, const std::byte* in, float* out, float*) {
  const float scale = load_half(in);
  kernels::kv_kernels().affine(in + 2, s.head_dim, 8, scale, -kZero * scale, out);
}

KvPlan plan(const Options&, dim head_dim) {
  KvSide side;
  side.head_dim = head_dim;
  side.block_bytes = head_dim + 2;
  side.bits = 8;
  side.encode = encode;
  side.decode = decode;
  KvPlan plan;
  plan.encoded = true;
  plan.keys = plan.values = side;
  return plan;
}

}  // namespace

const KvCodec int8_kv_codec = {
    "int8", "8 bits, symmetric, a scale for each token and head", "plain rounding", {}, plan};

}  // namespace pith
