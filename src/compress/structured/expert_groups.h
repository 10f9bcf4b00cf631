// Which experts of a layer are alike, and in which order their neurons correspond.
#pragma once
#include <vector>

#include "model/model.h"

namespace pith {

// Hierarchical clustering with average linkage: of `groups` groups the members, ascending; groups by their first one.
// distance: (n, n), symmetric, finite. Of equals the first are joined.
std::vector<std::vector<dim>> cluster(const std::vector<double>& distance, dim n, dim groups);

// of[i]: the neuron of `other` that stands for neuron i of `leader`: that assignment whose weights (gate, up and down
// together) agree most (Ainsworth et al., Git Re-Basin, arXiv:2209.04836).
std::vector<dim> matched_neurons(const Model& model, dim layer, dim leader, dim other);

}  // namespace pith
