// OmniQuant's learned clipping: a factor for each end of each range, learned by Adam on the block's error.
#include "compress/reconstruct/learn_rounding.h"
#include "compress/reconstruct/options.h"

namespace pith {

namespace {

constexpr double kFirstFactor = 0.98201379;  // the sigmoid of 4

void omniquant_block(BlockTask& task, const Options& options) {
  LearningPlan plan;
  plan.parts.ranges = LearnedParts::Ranges::sigmoid;
  plan.parts.start = kFirstFactor;
  plan.iterations = dim(options.number("iterations"));
  plan.batch = dim(options.number("batch"));
  const double rate = options.number("rate");
  plan.step = [&](TrainedMatrix& m, dim number) { m.step_by_adam({.rate = rate, .number = number + 1}); };
  learn_rounding(task, plan);
}

}  // namespace

extern const Method omniquant_method;
const Method omniquant_method{
    .name = "omniquant",
    .family = "quantization",
    .summary = "learns, block by block, how far each range is cut",
    .paper = "OmniQuant (arXiv:2308.13137), its learnable weight clipping",
    .options =
        {
            iterations_option("200"),
            batch_option(),
            {.name = "rate",
             .default_value = "0.01",
             .help = "of Adam, on what a sigmoid makes a factor of",
             .choices = {},
             .low = 0,
             .high = 10},
        },
    .needs = Needs::text,
    .block = omniquant_block,
};

}  // namespace pith
