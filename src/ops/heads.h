// The order of heads in a fused projection.
#pragma once
#include "core/buffer.h"

namespace pith {

// Each row holds, for each key-value head, the `group` queries that share it, its key and its value; on return all
// queries, all keys, all values.
struct StackQkv {
  float* rows = nullptr;  // (n, kv_heads * (group + 2) * head_dim), dense
  dim n = 0, kv_heads = 0, group = 0, head_dim = 0;
};
void stack_qkv(const StackQkv& call, Buffer& scratch);    // scratch: a row for each thread
void unstack_qkv(const StackQkv& call, Buffer& scratch);  // the way back

}  // namespace pith
