// LoRD: the principal axes of a matrix's outputs around their mean. What the others gave on average becomes a bias.
#include "compress/lowrank/factorize.h"
#include "core/error.h"
#include "model/factored.h"

namespace pith {

namespace {

Weighing weigh(const InputStats* stats) {
  Weighing out;
  if (!stats || stats->tokens == 0) return out;
  out.moment = &*stats->moment;
  for (const double sum : stats->sums) out.mean.push_back(sum / double(stats->tokens));
  return out;
}

Model lord_reshape(const ReshapeTask& task, const Options& options) {
  if (!takes_biases(task.model))
    throw Error(Blame::input, "lord",
                fmt::format("expected a family with a place for biases, got {}", task.model.config().arch),
                "svd_llm needs none");
  return factorize({task, options, true, [](std::size_t, const InputStats* stats) { return weigh(stats); }, {}, true});
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> out = factorize_options(false);
  for (OptionSpec& o : out)
    if (o.name == "prefix") o.default_value = "original";  // the factored blocks before would lack their biases
  return out;
}

}  // namespace

extern const Method lord_method;
const Method lord_method{
    .name = "lord",
    .family = "low rank",
    .summary = "factors matrices by the principal axes of their outputs around the mean, which a bias restores",
    .paper = "LoRD (arXiv:2309.14021)",
    .options = options(),
    .needs = Needs::text,
    .reshape = lord_reshape,
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
