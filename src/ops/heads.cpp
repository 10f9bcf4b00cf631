#include "ops/heads.h"

#include <algorithm>

#include "ops/parts.h"

namespace pith {

// move(to, from, stacked, grouped, n): where n values lie in each of the two orders
template <class Move>
static void for_heads(const StackQkv& c, Buffer& scratch, const Move& move) {
  const dim heads = c.kv_heads * c.group, width = (heads + 2 * c.kv_heads) * c.head_dim;
  scratch.reserve(num_threads() * width * dim(sizeof(float)));
  parallel_parts(c.n, grain_of(2 * width), [&](dim part, dim begin, dim end) {
    float* from = scratch.as<float>() + part * width;
    for (dim i = begin; i < end; ++i) {
      float* row = c.rows + i * width;
      std::copy_n(row, width, from);
      for (dim kv = 0; kv < c.kv_heads; ++kv) {
        const dim group = kv * (c.group + 2) * c.head_dim, key = group + c.group * c.head_dim;
        move(row, from, kv * c.group * c.head_dim, group, c.group * c.head_dim);
        move(row, from, (heads + kv) * c.head_dim, key, c.head_dim);
        move(row, from, (heads + c.kv_heads + kv) * c.head_dim, key + c.head_dim, c.head_dim);
      }
    }
  });
}

void stack_qkv(const StackQkv& call, Buffer& scratch) {
  for_heads(call, scratch, [](float* to, const float* from, dim stacked, dim grouped, dim n) {
    std::copy_n(from + grouped, n, to + stacked);
  });
}

void unstack_qkv(const StackQkv& call, Buffer& scratch) {
  for_heads(call, scratch, [](float* to, const float* from, dim stacked, dim grouped, dim n) {
    std::copy_n(from + stacked, n, to + grouped);
  });
}

}  // namespace pith
