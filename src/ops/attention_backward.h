// The backward pass of causal attention over whole sequences. Probabilities are formed again from queries and keys.
#pragma once
#include <span>

#include "ops/attention.h"

namespace pith {

// One whole sequence: `count` rows of all operands from `row` on, at positions 0, 1, ...
struct SequenceRows {
  dim row = 0, count = 0;
};

// All (rows, heads * head_dim) or (rows, kv_heads * head_dim), dense: queries and keys as they were multiplied (normed
// and turned), the gradient of attention's output, and the results.
struct AttentionBackwardCall {
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  const float* dout = nullptr;
  float *dq = nullptr, *dk = nullptr, *dv = nullptr;
};

class AttentionBackward {
 public:
  // Of `shape` capacity and q_stride are not used.
  void run(const AttentionShape& shape, std::span<const SequenceRows> sequences, const AttentionBackwardCall& call);
  dim size_bytes() const { return scratch_.size_bytes(); }

 private:
  Buffer scratch_;  // per thread
};

}  // namespace pith
