// GPTQ: columns are rounded one after another, each to make up for the errors of those before, as the second moments
// of the layer's inputs tell; then single values are moved while that helps.
#include "compress/quantize/feedback_options.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> gptq_prepare(const InputStats& stats, const Format& format, const Options& options) {
  PITH_CHECK(stats.moment);
  return make_feedback(*stats.moment, feedback_choice(options, format));
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
    .options = {range_option(), range_power_option(), range_steps_option(), damping_option(), act_order_option(),
                polish_option()},
    .needs = Needs::moments,
    .prepare = gptq_prepare,
    .layer = gptq_layer,
};

}  // namespace pith
