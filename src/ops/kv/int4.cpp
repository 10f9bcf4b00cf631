// Four (or fewer) bits for each token, in groups along the head: what most runtimes offer.
#include "ops/kv/affine_codes.h"
#include "ops/kv/kv_options.h"

namespace pith {

extern const KvCodec int4_kv_codec;

static KvPlan plan(const Options& options, dim head_dim) {
  KvPlan plan;
  plan.encoded = true;
  plan.keys = token_groups(head_dim, int(options.number("bits")), whole(options, "group"));
  plan.keys.first = whole(options, "first");
  plan.values = plan.keys;
  return plan;
}

const KvCodec int4_kv_codec = {"int4",
                               "4 bits, asymmetric, groups along the head of each token",
                               "plain rounding",
                               {bits_option(), group_option("64"), first_option("0")},
                               plan};

}  // namespace pith
