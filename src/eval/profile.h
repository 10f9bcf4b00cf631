// Where a model differs from its base inside, and how its numbers are distributed.
#pragma once
#include <span>
#include <vector>

#include "core/progress.h"
#include "model/model.h"

namespace pith {

struct Histogram {  // equal bins over [low, high); what lies outside counts in the end bins
  double low = 0, high = 0;
  std::vector<double> shares;  // of all values; they sum to 1
};

// The residual stream after each block, on a text's first tokens.
struct LayerProfile {
  std::vector<double> errors;  // |h - h'|_F / |h|_F against the base, a layer; empty without one of the same depth
  std::vector<double> peaks;   // largest |h| over the root mean square, a layer
  Histogram activations;       // log10(|h| / root mean square of its layer)
  dim tokens = 0;
};
// base: null, or a model whose blocks have inputs of the same width. One sequence, cut to both contexts. A model in
// rotated coordinates is as far from its base as the rotation turns, though it says the same.
LayerProfile profile_layers(const Model& model, const Model* base, std::span<const Token> tokens,
                            Progress& progress = no_progress());

// Weights of linear layers over the root mean square of their matrix, in [-4, 4); of large models a part of the rows.
Histogram weight_histogram(const Model& model);

}  // namespace pith
