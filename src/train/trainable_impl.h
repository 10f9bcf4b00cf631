// What Trainable's sources share: the network that computes with the parameters, and where their gradients are formed.
#pragma once
#include <map>

#include "train/grid_scales.h"
#include "train/row_lengths.h"
#include "train/trainable.h"

namespace pith {

struct Trainable::Impl {
  const Model& model;
  bool bf16 = false;
  std::vector<Block> blocks;
  Network network;
  std::list<Weight> weights;           // what matrices multiply: views of values, or rounded copies
  std::vector<Encoded*> copies;        // of each parameter; null where there is none
  std::vector<const Format*> rounded;  // TrainChoice::rounded
  ActSpec activations;
  std::list<LowRankTerm> terms;
  std::map<std::size_t, RowLengths> lengths;  // by parameter, a magnitude
  std::map<std::size_t, GridScales> scales;   // by parameter
  std::vector<BlockGradients> wanted;
  OuterGradients outer;
  // Gradients of one batch: those of a block until the next is at hand, in block_formed, and those of what is outside.
  Buffer block_formed, outer_formed;
  Buffer sums;                                     // of a block, where processes exchange them
  std::vector<float*> formed;                      // of each parameter
  std::vector<std::vector<std::size_t>> of_layer;  // parameters; outside: layer -1

  explicit Impl(const Model& m)
      : model(m), blocks(m.blocks().begin(), m.blocks().end()), network(Network::of(m)), wanted(blocks.size()) {
    network.blocks = blocks;
  }
  std::vector<std::size_t>& parameters_of(dim layer) { return of_layer[std::size_t(layer + 1)]; }
  void place_formed(const std::vector<Parameter>& parameters);
  void clear_formed(dim layer);
  void exchange_formed(std::vector<Parameter>& parameters, dim layer, const Together& together);
  Linear* linear(const ModelTensor& t) {
    if (t.role == Role::embed) return &network.embed;
    if (t.role == Role::pos_embed) return &network.pos_embed;
    if (t.role == Role::lm_head) return &network.lm_head;
    return t.layer >= 0 ? find_linear(blocks[std::size_t(t.layer)], t.role) : nullptr;
  }
  // The norm of a block, or its gradient: both have the same places.
  template <class Norms>
  auto norm_in(Norms& b, const ModelTensor& t) const -> decltype(&b.attn_norm) {
    const bool second = model.find(Role::attn_norm_2, t.layer) != nullptr;
    switch (t.role) {
      case Role::attn_norm:
        return second ? &b.ffn_norm : &b.attn_norm;
      case Role::attn_norm_2:
        return &b.attn_norm;
      case Role::ffn_norm:
        return &b.ffn_norm;
      case Role::attn_post_norm:
        return &b.attn_post_norm;
      case Role::ffn_post_norm:
        return &b.ffn_post_norm;
      case Role::attn_q_norm:
        return &b.q_norm;
      case Role::attn_k_norm:
        return &b.k_norm;
      default:
        return nullptr;
    }
  }
  Norm* norm(const ModelTensor& t) {
    if (t.role == Role::output_norm) return &network.output_norm;
    return t.layer >= 0 ? norm_in(blocks[std::size_t(t.layer)], t) : nullptr;
  }
  const Format* format_of(const Parameter& p) const;  // that it is rounded to; null: it is not
  void use_matrix(std::size_t parameter, Parameter& p);
  void use_vector(std::size_t parameter, Parameter& p);
  void use_low_rank(std::size_t parameter, Parameter& a, Parameter& b, float scale);
  void use_scales(std::size_t parameter, const Parameter& p);
  void use_magnitude(std::size_t parameter, const Parameter& p);
};

}  // namespace pith
