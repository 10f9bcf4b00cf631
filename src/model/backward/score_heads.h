// What queries and keys become on their way to the scores: a head's norm, then rotary embedding.
#pragma once
#include <span>

#include "model/model.h"
#include "ops/attention.h"
#include "ops/rope.h"

namespace pith {

class ScoreHeads {
 public:
  ScoreHeads(const Config& config, dim max_length) : config_(config), max_length_(max_length) {}
  // Of whole sequences in this layer, one after another; for the calls that follow.
  void begin(dim layer, std::span<const dim> lengths);
  // x: (n, count * head_dim), as a block's matrices gave them.
  void to_scores(float* x, dim n, dim count, const Norm& norm) const;
  // Back through the embedding alone: gradients of (n, count * head_dim).
  void turn_back(float* gradient, dim n, dim count) const;
  AttentionShape shape() const;  // of the layer

 private:
  bool slides() const;
  const Config& config_;
  dim max_length_, layer_ = 0;
  RopeTable rope_;
};

}  // namespace pith
