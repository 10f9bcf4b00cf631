// ASVD: columns of the weights scaled by how large their inputs are on average, so that what meets large inputs is
// kept.
#include <cmath>

#include "compress/lowrank/factorize.h"

namespace pith {

namespace {

Weighing weigh(const InputStats* stats, double power) {
  Weighing out;
  if (!stats || stats->tokens == 0) return out;
  for (const double sum : stats->magnitudes) out.cols.push_back(std::pow(sum / double(stats->tokens), power) + 1e-6);
  return out;
}

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> out = factorize_options(true);
  out.push_back({.name = "alpha",
                 .default_value = "0.5",
                 .help = "the power of the inputs' mean magnitudes",
                 .choices = {},
                 .low = 0,
                 .high = 2});
  return out;
}

}  // namespace

extern const Method asvd_method;
const Method asvd_method{
    .name = "asvd",
    .family = "low rank",
    .summary = "factors matrices whose columns were scaled by the size of their inputs",
    .paper = "ASVD (arXiv:2312.05821)",
    .options = options(),
    .needs = Needs::text,
    .reshape =
        [](const ReshapeTask& task, const Options& options) {
          const double alpha = options.number("alpha");
          return factorize(
              {task, options, true, [&](std::size_t, const InputStats* stats) { return weigh(stats, alpha); }});
        },
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
