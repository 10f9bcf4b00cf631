// Causal attention over encoded keys and values, which are decoded strip by strip; what a query reads exactly and what
// it reads decoded is KvSide's rule.
#pragma once
#include <span>
#include <vector>

#include "core/buffer.h"
#include "ops/attention.h"
#include "ops/kv/kv_store.h"
#include "ops/rope.h"

namespace pith {

// As QueryRun. The rows are those of the whole run that is being added, the queries some of them.
struct KvQueryRun {
  KvArea keys, values;
  KvRows key_rows, value_rows;
  dim first_position = 0;
  dim count = 0;
  dim row = 0;  // of q and out
};

struct KvAttentionCall {
  AttentionShape shape;
  const KvLayout* keys = nullptr;
  const KvLayout* values = nullptr;
  const RopeTable* key_rope = nullptr;  // by position; applied to keys as they are read; null: none
  bool neighbours = false;              // its pairing
};

class KvAttention {
 public:
  // q: (rows, heads * head_dim), row i at q + i * q_stride; out likewise, dense.
  void run(const KvAttentionCall& call, std::span<const KvQueryRun> runs, const float* q, float* out);
  dim size_bytes() const { return scratch_.size_bytes(); }

 private:
  struct Task {  // some of a run's (head of the group, query) pairs of one key-value head
    std::uint32_t run;
    std::uint32_t kv_head;
    dim first_pair;
    dim cost_before;
  };
  void list_tasks(const AttentionShape& shape, std::span<const KvQueryRun> runs, dim pairs);
  std::vector<Task> tasks_;
  Buffer scratch_;
};

}  // namespace pith
