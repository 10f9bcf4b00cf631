// QuIP: a matrix is turned on both sides by randomized Hadamard matrices, after which neither its values nor its inputs
// stand out, and then rounded with error feedback; on e8p eight columns at a time, as in QuIP#. The rotations stay with
// the matrix, and the model turns inputs and outputs while it runs.
#include "compress/quantize/feedback_options.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> quip_prepare(const InputStats& stats, const Format& format, const Options& options) {
  PITH_CHECK(stats.moment);
  return make_feedback(*stats.moment, feedback_choice(options, format));
}

void quip_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const RangeSearch search = range_search(options);
  if (!task.state) return round_to_nearest(task, search);
  const auto& feedback = static_cast<const Feedback&>(*task.state);
  round_with_feedback(feedback, task, search);
  polish(feedback, task, int(options.number("polish")));
}

}  // namespace

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
    .prepare = quip_prepare,
    .turn = [](const Options& options) { return std::uint64_t(options.number("rotation-seed")); },
    .layer = quip_layer,
};

}  // namespace pith
