// int4 after an orthogonal rotation of each head, which spreads outliers over all channels. Queries are turned alike,
// so products with keys stay what they were; the output of attention is turned back.
#include "ops/kv/affine_codes.h"
#include "ops/kv/kv_options.h"

namespace pith {

extern const KvCodec rotated_int4_kv_codec;

static KvPlan plan(const Options& options, dim head_dim) {
  KvPlan plan;
  plan.encoded = true;
  plan.rotated = true;
  plan.rotation_seed = std::uint64_t(options.number("seed"));
  plan.keys = token_groups(head_dim, int(options.number("bits")), whole(options, "group"));
  plan.keys.first = whole(options, "first");
  plan.values = plan.keys;
  return plan;
}

const KvCodec rotated_int4_kv_codec = {
    "rotated-int4",
    "int4 on heads turned by a Hadamard matrix",
    "QuaRot (arXiv:2404.00456)",
    {bits_option(),
     group_option("64"),
     first_option("0"),
     {"seed", "0", "of random signs before the Hadamard matrix; 0: none", {}, 0, 1e6}},
    plan};

}  // namespace pith
