// Truncated singular value decomposition of the weights alone (Eckart and Young, 1936).
#include "compress/lowrank/factorize.h"

namespace pith {

extern const Method svd_method;
const Method svd_method{
    .name = "svd",
    .family = "low rank",
    .summary = "factors matrices by their own singular values, whatever their inputs are like: a baseline",
    .paper = "truncated SVD (Eckart and Young, 1936)",
    .options = factorize_options(true),
    .needs = Needs::nothing,
    .reshape =
        [](const ReshapeTask& task, const Options& options) {
          return factorize({task, options, false, [](std::size_t, const InputStats*) { return Weighing{}; }});
        },
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
