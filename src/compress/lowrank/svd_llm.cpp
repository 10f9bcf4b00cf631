// SVD-LLM: the factors that lose least of a matrix's outputs. With H the inputs' second moments these are the strongest
// eigenvectors U of W H W^T, and U^T W: no whitening matrix needs inverting.
#include "compress/lowrank/factorize.h"

namespace pith {

extern const Method svd_llm_method;
const Method svd_llm_method{
    .name = "svd_llm",
    .family = "low rank",
    .summary = "factors matrices so that their outputs on the calibration text change least: the default of the family",
    .paper = "SVD-LLM (arXiv:2403.07378); without centring, LoRD (arXiv:2309.14021) and the PCA of outputs",
    .options = factorize_options(false),
    .needs = Needs::text,
    .reshape =
        [](const ReshapeTask& task, const Options& options) {
          return factorize({task, options, true, [](std::size_t, const InputStats* stats) {
                              Weighing out;
                              if (stats) out.moment = &*stats->moment;
                              return out;
                            }});
        },
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
