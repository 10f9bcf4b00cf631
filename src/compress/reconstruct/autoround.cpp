// AutoRound: the direction in which each value is rounded, and the ends of each range, learned by the sign of the
// gradient of the block's error.
#include "compress/reconstruct/learn_rounding.h"
#include "compress/reconstruct/options.h"

namespace pith {

namespace {

void autoround_block(BlockTask& task, const Options& options) {
  LearningPlan plan;
  plan.parts.rounding = true;
  const bool ranges = options.text("ranges") == "true";
  plan.parts.ranges = ranges ? LearnedParts::Ranges::linear : LearnedParts::Ranges::fixed;
  plan.iterations = dim(options.number("iterations"));
  plan.batch = dim(options.number("batch"));
  const double given = options.number("rate");
  const double rate = given > 0 ? given : 1.0 / double(std::max<dim>(1, plan.iterations));
  const double range_rate = rate * options.number("range_rate");
  plan.step = [&](TrainedMatrix& m, dim number) {
    const double left = 1 - double(number) / double(plan.iterations);
    m.step_by_sign(float(rate * left), float(range_rate * left));
  };
  learn_rounding(task, plan);
}

}  // namespace

extern const Method autoround_method;
const Method autoround_method{
    .name = "autoround",
    .family = "quantization",
    .summary = "learns, block by block, which way values are rounded and where ranges end",
    .paper = "SignRound (arXiv:2309.05516)",
    .options =
        {
            iterations_option("200"),
            batch_option(),
            {.name = "ranges",
             .default_value = "true",
             .help = "learn the ends of ranges, too",
             .choices = {"true", "false"}},
            {.name = "rate",
             .default_value = "0",
             .help = "of the first step, in steps between codes; it falls to 0. 0: 1 / iterations",
             .choices = {},
             .low = 0,
             .high = 1},
            {.name = "range_rate",
             .default_value = "1",
             .help = "of the ends of ranges, as a multiple of the rate",
             .choices = {},
             .low = 0,
             .high = 10},
        },
    .needs = Needs::text,
    .block = autoround_block,
};

}  // namespace pith
