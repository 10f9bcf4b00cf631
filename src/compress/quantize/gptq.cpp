// GPTQ: columns are rounded one after another, each to make up for the errors of those before, as the second moments
// of the layer's inputs tell; then single values are moved while that helps.
#include "compress/quantize/error_feedback.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> gptq_prepare(const InputStats& stats, const Format& format, const Options& options) {
  PITH_CHECK(stats.moment);
  // values that share a code are rounded together, so they cannot come in any order
  const bool act_order = options.text("act_order") == "true" && format.joint == 1;
  return make_feedback(*stats.moment, {.damping = options.number("damping"), .act_order = act_order});
}

void gptq_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const RangeSearch search = range_search(options);
  if (!task.state) return round_to_nearest(task, search);
  const auto& feedback = static_cast<const Feedback&>(*task.state);
  round_with_feedback(feedback, task, search);
  polish(feedback, task, int(options.number("polish")));
}

}  // namespace

extern const Method gptq_method;
const Method gptq_method{
    .name = "gptq",
    .family = "quantization",
    .summary = "rounds column by column, each making up for the errors of those before",
    .paper = "GPTQ (arXiv:2210.17323); polish: QuantEase (arXiv:2309.01885)",
    .options =
        {
            range_option(),
            range_power_option(),
            range_steps_option(),
            {.name = "damping",
             .default_value = "0.01",
             .help = "added to the diagonal of the inputs' second moments, times its mean",
             .choices = {},
             .low = 0,
             .high = 10},
            {.name = "act_order",
             .default_value = "true",
             .help =
                 "columns with large inputs first; the ranges of all blocks are then fitted to the original weights",
             .choices = {"true", "false"}},
            {.name = "polish",
             .default_value = "0",
             .help = "sweeps of coordinate descent afterwards",
             .choices = {},
             .low = 0,
             .high = 100},
        },
    .needs = Needs::moments,
    .prepare = gptq_prepare,
    .layer = gptq_layer,
};

}  // namespace pith
