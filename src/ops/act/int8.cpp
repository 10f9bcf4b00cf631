// Eight bits, symmetric: the A8 of W8A8 and W4A8.
#include "ops/act/act_options.h"

namespace pith {

extern const ActCodec int8_act_codec;

static ActPlan plan(const Options& options) {
  ActPlan plan;
  plan.codes = ActPlan::Codes::integer;
  plan.fixed = options.text("scale") == "static";
  return plan;
}

const ActCodec int8_act_codec = {"int8",
                                 "8 bits, symmetric, a scale for each token",
                                 "ZeroQuant (arXiv:2206.01861), SmoothQuant (arXiv:2211.10438)",
                                 {scale_option()},
                                 plan};

}  // namespace pith
