// What keys and values are made from instead of both: the numbers that the inner factor gives which they share.
#include "ops/kv/affine_codes.h"
#include "ops/kv/half_side.h"
#include "ops/kv/kv_options.h"

namespace pith {

extern const KvCodec latent_kv_codec;

namespace {

constexpr dim kGroup = 32;

KvSide eight_bits(dim width) { return token_groups(width, 8, kGroup); }
KvSide four_bits(dim width) { return token_groups(width, 4, kGroup); }

KvPlan plan(const Options& options, dim head_dim) {
  const dim bits = whole(options, "bits");
  KvPlan plan;
  plan.encoded = true;
  plan.latent = bits == 16 ? half_side : bits == 8 ? eight_bits : four_bits;
  plan.keys_before_rope = true;
  plan.keys = plan.values = plan.latent(head_dim);
  return plan;
}

}  // namespace

const KvCodec latent_kv_codec = {
    "latent",
    "the numbers that factored keys and values share, multiplied out whenever they are read",
    "multi-head latent attention, DeepSeek-V2 (arXiv:2405.04434)",
    {{"bits", "16", "of a number; below 16 in groups of 32", {"16", "8", "4"}}},
    plan};

}  // namespace pith
