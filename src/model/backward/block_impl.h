// The inside of BlockBackward.
#pragma once
#include <vector>

#include "model/backward/block_backward.h"
#include "model/backward/score_heads.h"
#include "model/backward/tape.h"
#include "model/block_forward.h"
#include "model/forward_reserve.h"
#include "ops/attention_backward.h"
#include "ops/linear_backward.h"
#include "ops/norm_backward.h"

namespace pith {

struct BlockBackward::Impl {
  // What one forward left.
  struct Slot {
    Tape tape;
    Buffer input;  // (rows, hidden) before the block
    dim layer = 0, rows = 0;
    std::vector<dim> lengths;
  };

  Impl(const Network& network, dim max_length, dim most_sequences, dim slot_count);

  void forward(dim layer, float* hidden, std::span<const dim> lengths, dim slot);
  void backward(float* gradient, const BlockGradients& wanted, dim slot, const AttentionSinks& sinks);

  // dbranch: the gradient of what joined the residual stream; returns that of the branch before its norm, (n, hidden).
  const float* branch_gradient(const float* gradient, const Norm& post, const Tape::Record& branch, Gradient wanted);
  // Returns the gradient of the input that the feed-forward network's (attention's) matrices read, (n, hidden).
  float* ffn(const float* dbranch, const BlockGradients& wanted);
  float* attention(const float* dbranch, const BlockGradients& wanted, const AttentionSinks& sinks);
  // Queries' or keys' gradients back from the scores: (n, heads * head_dim).
  void from_scores(const float* raw, float* gradient, dim heads, const Norm& norm, Gradient wanted);
  void norm_into(const Norm& norm, const float* x, const float* dy, float* dx, bool add, Gradient wanted);
  void linear(const Linear& linear, const Tape::Record& x, const float* dy, float* dx, bool add, Gradient wanted);
  const float* multiplied(const Linear& linear, const Tape::Record& x, const Gradient& wanted);
  // Of a factored matrix: what its inner factor gives is made again.
  void factored_linear(const Linear& linear, const float* x, const float* dy, float* dx, bool add, Gradient wanted);
  void each_head_norm(const NormRowsBackward& all, dim heads);
  void copy_heads();
  float* input_of_heads(const float* dq, const float* dk, const float* dv, const BlockGradients& wanted);
  const Block& block() const { return net.blocks[std::size_t(layer)]; }

  std::vector<Slot> slots;
  Slot* at = nullptr;  // the one in work, of `layer` and n rows
  Network net;
  const Config& config;
  BlockForward run;
  dim layer = 0, n = 0;
  ScoreHeads scores;
  dim q_width = 0, kv_width = 0;
  AttentionBackward attention_backward;
  LinearBackwardWorkspace linear_workspace;
  LinearWorkspace inner_workspace;
  std::vector<NormScale> norm_scratch;
  Buffer branch, dffn, dattn, dactive, dgate, dup, q, k, v, dq, dk, dv, dattended, dqkv, heads, dhead, inner, rounded;
};

}  // namespace pith
