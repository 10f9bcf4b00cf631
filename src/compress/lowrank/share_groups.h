// Which blocks share matrices.
#pragma once
#include <vector>

#include "compress/method.h"
#include "compress/recipe.h"

namespace pith {

std::vector<OptionSpec> group_options();

// Runs of blocks, ascending, apart from each other: those that option `groups` names, or the ones whose blocks can do
// with the plain mean of their matrices (or the first one's, as `base` says) at the least divergence from the model.
// Error(input) when there are none, or some matrix that `where` selects cannot be shared.
std::vector<std::vector<dim>> choose_groups(const ReshapeTask& task, const Options& options);

// The selected matrices of these blocks: for each role one of every block, in order, as indices into Model::tensors().
std::vector<std::vector<std::size_t>> matrices_of(const Model& model, const Selection& where,
                                                  const std::vector<dim>& layers);

// The mean of matrices of one shape, (rows, cols).
std::vector<float> mean_of(const Model& model, const std::vector<std::size_t>& tensors);

}  // namespace pith
