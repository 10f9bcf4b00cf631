// Gradients of one decoder block. The forward pass is the one that everything runs (block_forward.h), with a tape on
// it: a block's activations are kept from its forward to its backward only, so a whole model needs the residual stream
// between its blocks and one block's tape.
#pragma once
#include <functional>
#include <memory>
#include <span>

#include "model/forward.h"
#include "ops/attention.h"

namespace pith {

// Where the gradient of a matrix (rows, cols) or norm, and of its bias, is added; null: not wanted.
struct Gradient {
  float* weight = nullptr;
  float* bias = nullptr;
  bool squares = false;  // of a matrix: for each token the square of its part in the gradient is added instead
  float *low_rank_a = nullptr, *low_rank_b = nullptr;  // of Linear::low_rank; both or none
  float* row_factors = nullptr;                        // (rows), of Linear::low_rank; null: not wanted
  float* inner = nullptr;                              // of Linear::inner
};

// As Block.
struct BlockGradients {
  Gradient attn_norm, ffn_norm, attn_post_norm, ffn_post_norm, q_norm, k_norm;
  Gradient q, k, v, qkv, o, gate, up, gate_up, down;
};
Gradient* find_gradient(BlockGradients& gradients, Role role);  // of a matrix; null where no such lies in a block

// What a block's query, key and value matrices give of some sequences one after another, and the gradients of that, to
// be added to. q: (rows, heads * head_dim); k, v: (rows, kv_heads * head_dim).
struct HeadRows {
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  float *dq = nullptr, *dk = nullptr, *dv = nullptr;
  dim q_width = 0, kv_width = 0;
  std::span<const dim> lengths;
};
using HeadsSink = std::function<void(const HeadRows& heads)>;
// The same of queries and keys as they are multiplied, normed and turned; of `shape` capacity and q_stride say nothing.
struct ScoreRows {
  const float *q = nullptr, *k = nullptr;
  float *dq = nullptr, *dk = nullptr;
  AttentionShape shape;
  std::span<const dim> lengths;
};
using ScoresSink = std::function<void(const ScoreRows& rows)>;
struct AttentionSinks {  // see the attention's once its own gradients are there; may be empty
  HeadsSink heads = {};
  ScoresSink scores = {};
};

class BlockBackward {
 public:
  // Views: the blocks may change between calls, but not between forward and backward. Up to `sequences` at once, each
  // of up to max_length tokens. Error(input) for mixtures of experts, and as BlockForward.
  // slots: forwards whose tapes are kept at the same time.
  BlockBackward(const Network& network, dim max_length, dim sequences, dim slots = 1);
  ~BlockBackward();

  // Whole sequences from their first tokens, one after another: hidden (tokens, hidden) before `layer` becomes what
  // follows it.
  void forward(dim layer, float* hidden, std::span<const dim> lengths, dim slot = 0);
  // Of the slot's last forward: dL/d(hidden after the block) becomes dL/d(hidden before it), and the wanted gradients
  // are added to. Error(input) where a gradient is not finite.
  void backward(float* gradient, const BlockGradients& wanted, dim slot = 0, const AttentionSinks& sinks = {});

  dim working_bytes() const;                              // of the tapes and the workspaces so far
  static dim slot_bytes(const Config& config, dim rows);  // of one tape, about

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
