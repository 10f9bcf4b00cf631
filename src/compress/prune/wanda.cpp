// Wanda: a value is worth its magnitude times the size of the input that it meets.
#include "compress/prune/pruned_matrix.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> prune(const ScaledMatrix& m, const Options& options) {
  const auto kept = select_values(m, pruning_of(options), magnitude_scores(input_norms(m)));
  return encode_pruned(m, kept, m.load);
}

}  // namespace

extern const Method wanda_method;
const Method wanda_method{
    .name = "wanda",
    .family = "pruning",
    .summary = "drops the values whose magnitude times their input's is least",
    .paper = "Wanda (arXiv:2306.11695)",
    .options = {sparsity_option(), pattern_option(), scope_option("row")},
    .needs = Needs::text,
    .prepare_matrix = prune,
    .kept = kept_values,
    .layer = write_pruned,
};

}  // namespace pith
