// Keys by channel before their rotary embedding, which mixes channels of different sizes; values by token; unevenly
// spaced levels; the most extreme values kept apart; the first token exact. Ranges are measured block by block, where
// the paper takes those of keys from calibration, so the newest block stays float16 until it is complete.
#include <cmath>

#include "ops/kv/kv_options.h"
#include "ops/kv/level_codes.h"

namespace pith {

extern const KvCodec kvquant_kv_codec;

static KvPlan plan(const Options& options, dim head_dim) {
  const dim group = whole(options, "group");
  const int bits = int(options.number("bits"));
  const dim outliers = dim(std::lround(options.number("outliers") / 100 * double(group * head_dim)));
  KvPlan plan;
  plan.encoded = true;
  plan.keys_before_rope = true;
  plan.keys = level_channels(head_dim, bits, group, outliers);
  plan.values = level_tokens(head_dim, bits, group, outliers);
  for (KvSide* side : {&plan.keys, &plan.values}) {
    side->newest = group;
    side->leave_together = true;
    side->first = whole(options, "first");
  }
  return plan;
}

const KvCodec kvquant_kv_codec = {
    "kvquant",
    "keys by channel before the rotary embedding, values by token; uneven levels, outliers apart",
    "KVQuant (arXiv:2401.18079), with ranges measured on the fly",
    {bits_option(),
     {"group", "64", "tokens of a block", {"32", "64", "128"}},
     {"outliers", "1", "percent of values kept apart in float16", {}, 0, 5},
     first_option("1")},
    plan};

}  // namespace pith
