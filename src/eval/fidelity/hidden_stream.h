// The residual stream of texts, block by block.
#pragma once
#include <span>
#include <vector>

#include "model/block_forward.h"
#include "model/model.h"

namespace pith {

class HiddenStream {
 public:
  // Sequences from their first tokens, not empty, at most as long as the model's context. act: how linear layers round
  // their inputs; null: as the model says.
  HiddenStream(const Model& model, std::span<const std::vector<Token>> sequences, const ActPlan* act = nullptr);
  void step(dim layer) { run(layer, hidden_); }
  // The same block on another stream, which becomes what follows it.
  void run(dim layer, std::span<float> hidden) { forward_.run(layer, hidden.data(), lengths_); }
  std::span<const float> hidden() const { return hidden_; }  // (tokens of all, hidden size)
  dim width() const { return forward_.hidden_size(); }

 private:
  std::vector<dim> lengths_;
  BlockForward forward_;
  std::vector<float> hidden_;
};

// Blocks of both can be compared: as many, and of one width.
inline bool same_blocks(const Config& a, const Config& b) { return a.layers == b.layers && a.hidden == b.hidden; }

}  // namespace pith
