// GPTQ: columns are rounded one after another, each to make up for the errors of those before, as the second moments
// of the layer's inputs tell; then single values are moved while that helps.
#include "compress/quantize/feedback_options.h"
#include "compress/quantize/range_options.h"

namespace pith {

extern const Method gptq_method;
const Method gptq_method{
    .name = "gptq",
    .family = "quantization",
    .summary = "rounds column by column, each making up for the errors of those before",
    .paper = "GPTQ (arXiv:2210.17323); polish: QuantEase (arXiv:2309.01885)",
    .options = {range_option(), range_power_option(), range_steps_option(), damping_option(), act_order_option(),
                polish_option()},
    .needs = Needs::moments,
    .prepare = prepare_feedback,
    .layer = feedback_layer,
};

}  // namespace pith
