// Magnitude: the smallest values go.
#include "compress/prune/pruned_matrix.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> prune(const ScaledMatrix& m, const Options& options) {
  const auto kept =
      select_values(m, pruning_of(options), magnitude_scores(std::vector<float>(std::size_t(m.cols), 1.0f)));
  auto out = encode_pruned(m, kept, m.load);
  out->note.clear();  // it asks for no inputs
  return out;
}

}  // namespace

extern const Method magnitude_method;
const Method magnitude_method{
    .name = "magnitude",
    .family = "pruning",
    .summary = "drops the smallest values",
    .paper = "the baseline of SparseGPT (arXiv:2301.00774)",
    .options = {sparsity_option(), pattern_option(), scope_option("matrix")},
    .prepare_matrix = prune,
    .kept = kept_values,
    .layer = write_pruned,
};

}  // namespace pith
