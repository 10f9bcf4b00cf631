// Gradients of a whole model's cross-entropy, block by block from the last to the first. Kept are the residual stream
// before each block and one block's tape.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "model/backward/block_backward.h"

namespace pith {

// Outside the blocks; (rows, hidden) each, added to; null: not wanted. Those of a tied head may be the embedding's.
struct OuterGradients {
  float *embed = nullptr, *pos_embed = nullptr, *lm_head = nullptr;
  Gradient output_norm;
};

class ModelBackward {
 public:
  // As BlockBackward; up to `sequences` in one call, each of 2 to max_length tokens.
  ModelBackward(const Network& network, dim max_length, dim sequences);
  ~ModelBackward();

  // The mean of -ln p over all tokens but the first of each sequence. wanted(layer) says where a block's gradients are
  // added, before they are formed; done(layer) follows. Error(input) where values are not finite.
  double run(std::span<const std::vector<Token>> sequences, const OuterGradients& outer,
             const std::function<BlockGradients(dim layer)>& wanted, const std::function<void(dim layer)>& done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
