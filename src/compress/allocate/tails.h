// What corrections of low rank leave of the damage that rounding does, by the spectrum of what it takes away.
#pragma once
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "compress/method.h"

namespace pith {

// A matrix, and the formats it may get.
struct TailItem {
  std::size_t tensor = 0;  // into Model::tensors(): a linear layer of a block, no expert's
  std::vector<const Format*> formats;
};

// By role, stretch of layers and format: for each rank the share of tr(E H E^T) that the best correction leaves, 1 at
// the most. E: what rounding by the method takes away; H: the inputs' second moments, damped as adapters are.
using Tails = std::map<std::tuple<Role, dim, const Format*>, std::vector<double>>;

// From one matrix of each role and stretch, that of its middle layer. ranks: above 0. Error(input) for a method that
// does not round value by value, as one that keeps outliers apart or turns matrices.
Tails measure_tails(const Model& model, std::span<const TailItem> items, std::span<const dim> ranks,
                    const Method& method, const Options& options, const CalibrationTokens& tokens, Progress& progress);

}  // namespace pith
