// Four bits, symmetric: the A4 of W4A4. The range is cut, since a token's largest value costs all others their steps.
#include "ops/act/act_options.h"

namespace pith {

extern const ActCodec int4_act_codec;

static ActPlan plan(const Options& options) {
  ActPlan plan;
  plan.codes = ActPlan::Codes::integer;
  plan.bits = int(options.number("bits"));
  plan.clip = float(options.number("clip"));
  return plan;
}

const ActCodec int4_act_codec = {"int4",
                                 "4 bits, symmetric, a scale for each token",
                                 "QuaRot (arXiv:2404.00456)",
                                 {{"bits", "4", "of a code", {"3", "4", "5", "6", "7"}}, clip_option("0.9")},
                                 plan};

}  // namespace pith
