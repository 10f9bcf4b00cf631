// Floats of 8 bits (E4M3, up to 448).
#include "ops/act/act_options.h"

namespace pith {

extern const ActCodec fp8_act_codec;

static ActPlan plan(const Options& options) {
  ActPlan plan;
  plan.codes = ActPlan::Codes::e4m3;
  plan.fixed = options.text("scale") == "static";
  return plan;
}

const ActCodec fp8_act_codec = {"fp8",
                                "floats of 8 bits (E4M3), a scale for each token",
                                "FP8 formats (arXiv:2209.05433), ZeroQuant-FP (arXiv:2307.09782)",
                                {scale_option()},
                                plan};

}  // namespace pith
