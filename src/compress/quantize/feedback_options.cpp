#include "compress/quantize/feedback_options.h"

#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

OptionSpec damping_option() {
  return {.name = "damping",
          .default_value = "0.01",
          .help = "added to the diagonal of the inputs' second moments, times its mean",
          .choices = {},
          .low = 0,
          .high = 10};
}

OptionSpec act_order_option() {
  return {.name = "act_order",
          .default_value = "true",
          .help = "columns with large inputs first; the ranges of all blocks are then fitted to the original weights",
          .choices = {"true", "false"}};
}

OptionSpec polish_option() {
  return {.name = "polish",
          .default_value = "0",
          .help = "sweeps of coordinate descent afterwards",
          .choices = {},
          .low = 0,
          .high = 100};
}

FeedbackOptions feedback_choice(const Options& options, const Format& format) {
  // Values that share a code are rounded together, so they cannot come in any order.
  return {.damping = options.number("damping"), .act_order = options.text("act_order") == "true" && format.joint == 1};
}

std::unique_ptr<LayerState> prepare_feedback(const InputStats& stats, const Format& format, const Options& options) {
  PITH_CHECK(stats.moment);
  return make_feedback(*stats.moment, feedback_choice(options, format));
}

void feedback_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  const RangeSearch search = range_search(options);
  if (!task.state) return round_to_nearest(task, search);
  const auto& feedback = static_cast<const Feedback&>(*task.state);
  round_with_feedback(feedback, task, search);
  polish(feedback, task, int(options.number("polish")));
}

}  // namespace pith
