// Keys by channel, values by token: the outliers of keys live in few channels, those of values do not.
#include "core/error.h"
#include "ops/kv/affine_codes.h"
#include "ops/kv/kv_options.h"

namespace pith {

extern const KvCodec kivi_kv_codec;

static KvPlan plan(const Options& options, dim head_dim) {
  const dim group = whole(options, "group"), residual = whole(options, "residual");
  if (residual < group || residual % group != 0)
    throw input_error("kv kivi", "expected a residual that is a multiple of the group of {}, got {}", group, residual);
  const int bits = int(options.number("bits"));
  KvPlan plan;
  plan.encoded = true;
  plan.keys = channel_groups(head_dim, bits, group);
  plan.keys.leave_together = true;
  plan.values = token_groups(head_dim, bits, group);
  plan.keys.newest = plan.values.newest = residual;
  plan.keys.first = plan.values.first = whole(options, "first");
  return plan;
}

const KvCodec kivi_kv_codec = {
    "kivi",
    "keys by channel over groups of tokens, values by token; the newest tokens stay float16",
    "KIVI (arXiv:2402.02750)",
    {bits_option(),
     {"group", "32", "tokens (keys) or channels (values) that share a scale", {"32", "64", "128"}},
     {"residual", "128", "newest tokens that stay float16", {"32", "64", "128", "256", "512"}},
     first_option("0")},
    plan};

}  // namespace pith
