// SpinQuant: QuaRot's bases, learned by the loss of the model with rounded inputs; then weights are rounded, by this
// method or by the one that follows.
#include "compress/quantize/range_options.h"
#include "compress/quantize/rotation_options.h"
#include "train/basis_training.h"

namespace pith {

namespace {

Model spinquant_reshape(const ReshapeTask& task, const Options& options) {
  const BasisChoice choice = {.start = rotation_choice(options),
                              .inputs = ActSpec(options.text("inputs")),
                              .steps = dim(options.number("iterations")),
                              .batch = dim(options.number("batch")),
                              .rate = options.number("rate")};
  return rotated_model(task.model, learn_basis(task.model, task.tokens().sequences, choice, task.progress).rotation);
}

}  // namespace

extern const Method spinquant_method;
const Method spinquant_method{
    .name = "spinquant",
    .family = "quantization",
    .summary =
        "turns the model as quarot does, by matrices that it learns: those that hurt least when inputs are rounded",
    .paper = "SpinQuant (arXiv:2405.16406); steps by the Cayley transform (arXiv:2002.01113)",
    .options =
        {
            range_option(),
            range_power_option(),
            range_steps_option(),
            {.name = "rotation-seed",
             .default_value = "0",
             .help = "of the residual stream's first matrix",
             .choices = {},
             .low = 0,
             .high = 1e9},
            {.name = "iterations",
             .default_value = "100",
             .help = "steps of learning",
             .choices = {},
             .low = 0,
             .high = 100000},
            {.name = "batch", .default_value = "4", .help = "samples of a step", .choices = {}, .low = 1, .high = 64},
            {.name = "rate",
             .default_value = "0.02",
             .help = "of the first step; falls along a cosine",
             .choices = {},
             .low = 0,
             .high = 100},
            {.name = "inputs",
             .default_value = "int4",
             .help = "how linear layers round their inputs while it learns; weights stay as they are",
             .choices = {"int4", "int8", "fp8"}},
            {.name = "heads",
             .default_value = "true",
             .help = "learn a matrix for the values of each block's heads, too",
             .choices = {"true", "false"}},
            {.name = "down",
             .default_value = "true",
             .help = "turn the inputs of down-projections while the model runs (not learned), which only pith does; "
                     "false: the output runs wherever the family does",
             .choices = {"true", "false"}},
        },
    .needs = Needs::text,
    .layer = round_by_ranges,
    .reshape = spinquant_reshape,
    .ours_alone = turns_down,
};

}  // namespace pith
