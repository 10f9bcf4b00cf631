// Inputs as they come.
#include "ops/act/act_codec.h"

namespace pith {

extern const ActCodec f32_act_codec;
const ActCodec f32_act_codec = {
    "f32", "inputs as they come", "no rounding", {}, [](const Options&) { return ActPlan(); }};

}  // namespace pith
