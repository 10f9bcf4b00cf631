// Gradients of a whole model's loss, block by block from the last to the first. Kept are the residual stream before
// each block and the tapes of a few.
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

// What a model is asked to give: says how far its logits are from that.
class TokenLoss {
 public:
  virtual ~TokenLoss() = default;
  // logits: (n, vocab), those at some places, which count the tokens of all sequences one after another. Returns their
  // part of the loss and leaves its gradient in place of the logits.
  virtual double part(std::span<const dim> places, float* logits) = 0;
  // Whether it looks at the residual stream after this block, too. Then its part, with the gradient added to
  // `gradient`; x, gradient: (rows, hidden), of the tokens of all sequences one after another.
  virtual bool sees_block(dim /*layer*/) const { return false; }
  virtual double block_part(dim /*layer*/, const float* /*x*/, dim /*rows*/, float* /*gradient*/) { return 0; }
  // Whether it looks at a block's queries, keys and values. Then its part, with the gradients added to.
  virtual bool sees_heads(dim /*layer*/) const { return false; }
  virtual double heads_part(dim /*layer*/, const HeadRows& /*heads*/) { return 0; }
  // Whether it looks at what a block multiplies queries and keys as. Then its part, likewise.
  virtual bool sees_scores(dim /*layer*/) const { return false; }
  virtual double scores_part(dim /*layer*/, const ScoreRows& /*rows*/) { return 0; }
  // Whether it wants the last places first.
  virtual bool last_first() const { return false; }
};

class ModelBackward {
 public:
  // As BlockBackward; up to `sequences` in one call, each of 1 to max_length tokens. The tapes of the last
  // `kept_blocks` (at least one) are kept; the others' are made again from the residual stream, to the same bits.
  ModelBackward(const Network& network, dim max_length, dim sequences, dim kept_blocks = 1);
  ~ModelBackward();

  // The mean of -ln p over all tokens but the first of each sequence, of which each has two or more. wanted(layer) says
  // where a block's gradients are added, before they are formed; done(layer) follows. Error(input) where values are not
  // finite.
  double run(std::span<const std::vector<Token>> sequences, const OuterGradients& outer,
             const std::function<BlockGradients(dim layer)>& wanted, const std::function<void(dim layer)>& done);
  // The same with any loss, of the logits at these places; done may be empty.
  double run(std::span<const std::vector<Token>> sequences, std::span<const dim> places, TokenLoss& loss,
             const OuterGradients& outer, const std::function<BlockGradients(dim layer)>& wanted,
             const std::function<void(dim layer)>& done = {});

  dim working_bytes() const;                    // of activations and workspaces so far, about
  static dim logit_rows(const Config& config);  // at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
