// Causal attention of new queries over cached keys and values, grouped heads included.
#pragma once
#include <span>
#include <vector>

#include "core/buffer.h"

namespace pith {

// `count` consecutive queries of one sequence; query i sits at position first_position + i, and the cache holds
// keys and values up to there.
struct QueryRun {
  const float* keys = nullptr;  // (kv_heads, capacity, head_dim), this layer's
  const float* values = nullptr;
  dim first_position = 0;
  dim count = 0;
  dim row = 0;  // of q and out
};

struct AttentionShape {
  dim heads = 0, kv_heads = 0, head_dim = 0;
  dim capacity = 0;
  dim q_stride = 0;
  float scale = 1;
  float softcap = 0;  // 0: none
  dim window = 0;     // a query sees its own and the window - 1 positions before; 0: all
};

class Attention {
 public:
  // q: (rows, heads * head_dim), row i at q + i * q_stride; out likewise, dense.
  void run(const AttentionShape& shape, std::span<const QueryRun> runs, const float* q, float* out);
  dim size_bytes() const { return scratch_.size_bytes(); }

 private:
  struct Task {  // sixteen of a run's (head of the group, query) pairs, counted head by head
    std::uint32_t run;
    std::uint32_t kv_head;
    dim first_pair;
    dim cost_before;  // of all tasks before this one
  };
  void list_tasks(const AttentionShape& shape, std::span<const QueryRun> runs);
  std::vector<Task> tasks_;
  Buffer scratch_;  // per thread: 16 queries, their scores, their outputs
};

}  // namespace pith
