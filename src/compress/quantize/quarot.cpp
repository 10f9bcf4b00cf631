// QuaRot: before anything else the model is turned into a basis in which neither weights nor inputs have elements that
// stand out; then weights are rounded, by this method or by the one that follows.
#include "compress/quantize/range_options.h"
#include "compress/quantize/rotation_options.h"

namespace pith {

namespace {

Model quarot_reshape(const ReshapeTask& task, const Options& options) {
  return rotated_model(task.model, rotation_choice(options));
}

}  // namespace

extern const Method quarot_method;
const Method quarot_method{
    .name = "quarot",
    .family = "quantization",
    .summary = "turns the model so that no weight or input stands out, by random orthogonal and Hadamard matrices",
    .paper = "QuaRot (arXiv:2404.00456)",
    .options =
        {
            range_option(),
            range_power_option(),
            range_steps_option(),
            {.name = "rotation-seed",
             .default_value = "0",
             .help = "of the residual stream's matrix",
             .choices = {},
             .low = 0,
             .high = 1e9},
            {.name = "heads",
             .default_value = "true",
             .help = "turn the values of each head, too",
             .choices = {"true", "false"}},
            {.name = "down",
             .default_value = "true",
             .help = "turn the inputs of down-projections while the model runs, which only pith does; false: the "
                     "output runs wherever the family does",
             .choices = {"true", "false"}},
        },
    .layer = round_by_ranges,
    .reshape = quarot_reshape,
    .ours_alone = turns_down,
};

}  // namespace pith
