// Keys and values as they come, and as float16.
#include "kernels/decode.h"
#include "ops/kv/half_bytes.h"
#include "ops/kv/half_side.h"

namespace pith {

extern const KvCodec f32_kv_codec, f16_kv_codec;

const KvCodec f32_kv_codec = {"f32", "as computed", "the reference", {}, [](const Options&, dim) { return KvPlan{}; }};

KvSide half_side(dim width) {
  KvSide side;
  side.head_dim = width;
  side.block_bytes = 2 * width;
  side.encode = [](const KvSide& s, const float* x, std::byte* out) {
    for (dim i = 0; i < s.head_dim; ++i) store_half(out + 2 * i, to_finite_half(x[i]));
  };
  side.decode = [](const KvSide& s, const std::byte* in, float* out, float*) {
    kernels::decode_kernels().f16(in, s.head_dim, out);
  };
  return side;
}

static KvPlan f16_plan(const Options&, dim head_dim) {
  KvPlan plan;
  plan.encoded = true;
  plan.keys = plan.values = half_side(head_dim);
  return plan;
}

const KvCodec f16_kv_codec = {"f16", "float16", "what most runtimes do by default", {}, f16_plan};

}  // namespace pith
