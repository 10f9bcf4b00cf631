// int8 with the largest values apart: they meet the weights in floating point. The paper splits off whole columns of a
// batch; here each token splits off its own values, so that no token's result depends on the others.
#include "ops/act/act_codec.h"

namespace pith {

extern const ActCodec llm_int8_act_codec;

static ActPlan plan(const Options& options) {
  ActPlan plan;
  plan.codes = ActPlan::Codes::integer;
  plan.outlier = float(options.number("threshold"));
  return plan;
}

const ActCodec llm_int8_act_codec = {"llm-int8",
                                     "int8, but values from a threshold on are multiplied as they are",
                                     "LLM.int8() (arXiv:2208.07339)",
                                     {{"threshold", "6", "of the values that stay as they are", {}, 0, 1e30}},
                                     plan};

}  // namespace pith
