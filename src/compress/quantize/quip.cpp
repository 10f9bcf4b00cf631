// QuIP: a matrix is turned on both sides by randomized Hadamard matrices, after which neither its values nor its inputs
// stand out, and then rounded with error feedback; on e8p eight columns at a time, as in QuIP#. The rotations stay with
// the matrix, and the model turns inputs and outputs while it runs.
#include "compress/quantize/feedback_options.h"
#include "compress/quantize/range_options.h"

namespace pith {

extern const Method quip_method;
const Method quip_method{
    .name = "quip",
    .family = "quantization",
    .summary =
        "turns each matrix on both sides, where nothing stands out, and rounds it there with error feedback; meant "
        "for e8p",
    .paper = "QuIP (arXiv:2307.13304), QuIP# (arXiv:2402.04396)",
    .options = {{.name = "rotation-seed",
                 .default_value = "1",
                 .help = "of the random rotations",
                 .choices = {},
                 .low = 1,
                 .high = 1e9},
                range_option(),
                range_power_option(),
                range_steps_option(),
                damping_option(),
                act_order_option(),
                polish_option()},
    .needs = Needs::moments,
    .prepare = prepare_feedback,
    .turn = [](const Options& options) { return std::uint64_t(options.number("rotation-seed")); },
    .layer = feedback_layer,
};

}  // namespace pith
