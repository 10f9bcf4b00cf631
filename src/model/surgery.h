// A model with structures taken out: its matrices are smaller, and its choices say so. What is left computes what the
// whole model would with zeros in place of the rest. Channels, neurons and values may come in another order, which
// changes nothing.
#pragma once
#include <vector>

#include "model/model.h"

namespace pith {

// A part of an expert that is the average of several.
struct ExpertShare {
  dim expert = 0;
  double share = 1;          // of the average; those of all its parts add up to 1
  std::vector<dim> neurons;  // which of its neurons stands where
};

// What stays of a block: heads and experts in ascending order, others in the order in which they will stand.
struct BlockCut {
  std::vector<dim> kv_heads;
  std::vector<dim> heads;    // query heads, equally many of each kv head that stays
  std::vector<dim> neurons;  // of the feed-forward network; of a mixture of experts: all
  std::vector<dim> experts = {};
  // Rows of attn_v: the dimensions of each kv head that stays, head after head, all of them; empty: as they stand.
  std::vector<dim> values = {};
  // Of each of `experts` all its neurons; empty: as they stand.
  std::vector<std::vector<dim>> expert_neurons = {};
  std::vector<dim> shared_neurons = {};  // of the expert that all tokens see, likewise
  // What each of `experts` becomes the average of, itself among it; empty: they stay as they are.
  std::vector<std::vector<ExpertShare>> merged = {};
  std::vector<float> router = {};  // (experts, hidden) instead of its rows for them; empty: those
  // (hidden) added to what a branch gives, for what its lost inputs gave on average; empty: nothing.
  std::vector<float> attn_bias = {}, ffn_bias = {};
};

struct Surgery {
  std::vector<dim> layers;         // that stay, ascending
  std::vector<BlockCut> blocks;    // one for each of them; all of the same sizes
  std::vector<dim> hidden;         // channels of the residual stream that stay, in the order in which they will stand
  std::vector<Token> tokens = {};  // of the vocabulary that stay, as Tokenizer::selection gives them; empty: all
  std::vector<std::string> notes = {};  // for the report
};

// Of which nothing is taken.
Surgery whole(const Config& config);
BlockCut whole_block(const Config& config);

// Why heads, neurons, channels or layers of such a model cannot be taken out; empty: they can.
std::string cannot_cut_heads(const Model& model);
std::string cannot_cut_neurons(const Model& model);
std::string cannot_cut_hidden(const Model& model);
std::string cannot_keep_layers(const Model& model, const std::vector<dim>& layers);
// Whether the family has a place for biases of the branches' last matrices.
bool takes_branch_biases(const Model& model);

// The model again, opened anew. Rows stay as they are stored; where columns are taken out of a format with blocks, the
// rest is set aside in f32. Error(input) as the functions above say.
Model cut_model(const Model& model, const Surgery& surgery);

}  // namespace pith
