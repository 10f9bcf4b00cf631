// How much is taken out, and which of the structures that score lowest: what the methods here share.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "compress/method.h"
#include "model/surgery.h"

namespace pith {

// Scores of one block's structures: the lowest go first.
struct BlockScores {
  std::vector<double> kv_heads;  // (kv_heads): a kv head with its query heads
  std::vector<double> neurons;   // (ffn)
};

// Options `ratio`, `heads`, `multiple`.
OptionSpec ratio_option();
OptionSpec heads_option();
OptionSpec multiple_option();

// What the options leave of every block, the same for all: the kv heads first, by `heads` or as many whole ones as the
// ratio of them is; then neurons, until `ratio` of the block's weights are gone. Error(input) where nothing would be
// left.
struct BlockShape {
  dim kv_heads = 0, neurons = 0;
};
BlockShape block_shape(const Model& model, const Options& options);

// A whole model's shape, where that is given: options `hidden`, `layers`, `kv-heads`, `neurons`, each 0 for all.
std::vector<OptionSpec> model_shape_options();
struct ModelShape {
  dim hidden = 0, layers = 0;
  BlockShape block = {};
};
ModelShape model_shape(const Config& config, std::string_view method, const Options& options);  // Error(input)

// The `count` that score highest, ascending; of equals the first.
std::vector<dim> highest(std::span<const double> scores, dim count);

// scores(layer) of all blocks.
Surgery keep_highest(const Model& model, const BlockShape& shape, const std::function<BlockScores(dim layer)>& scores);

// Of its blocks only these stay, ascending.
void keep_layers(Surgery& surgery, std::vector<dim> layers);

// For each column of the last matrix of a branch (attn_o or ffn_down): the sum over its rows of power(w).
std::vector<double> column_sums(const Model& model, Role role, dim layer, double (*power)(double));
// Sums of `width` neighbours.
std::vector<double> in_groups(std::span<const double> values, dim width);

}  // namespace pith
