// How much of each layer is pruned, where not all the same.
//   owl          layers with more scores far above their mean keep more (arXiv:2310.05175)
//   sensitivity  one threshold for the share of its layer's summed squared scores that a value has
//   global       one threshold of magnitude
#pragma once
#include "compress/recipe.h"
#include "core/progress.h"

namespace pith {

SparsityPlan::Kind sparsity_kind_or_throw(std::string_view name);  // Error(input) that lists the names
std::string_view sparsity_kind_name(SparsityPlan::Kind kind);

// Shares of zeros that average to `share` over the layers, weighed by their values, each in [0, 0.999].
// owl: outliers: of each layer, in percent.
std::vector<double> owl_shares(std::span<const double> outliers, std::span<const double> values, double share,
                               double spread);

// The recipe with a step of the pruning method for each layer, and a note on them; the recipe itself where its plan is
// uniform. Measures inputs on the recipe's calibration text where the plan asks for them.
Recipe with_sparsity(const Model& model, const Recipe& recipe, std::vector<std::string>& notes, Progress& progress);

}  // namespace pith
