#include "ops/heads.h"

#include <algorithm>

#include "ops/parts.h"

namespace pith {

void stack_qkv(const StackQkv& c, Buffer& scratch) {
  const dim heads = c.kv_heads * c.group, width = (heads + 2 * c.kv_heads) * c.head_dim;
  scratch.reserve(num_threads() * width * dim(sizeof(float)));
  parallel_parts(c.n, grain_of(2 * width), [&](dim part, dim begin, dim end) {
    float* from = scratch.as<float>() + part * width;
    for (dim i = begin; i < end; ++i) {
      float* row = c.rows + i * width;
      std::copy_n(row, width, from);
      for (dim kv = 0; kv < c.kv_heads; ++kv) {
        const float* group = from + kv * (c.group + 2) * c.head_dim;
        const float* key = group + c.group * c.head_dim;
        std::copy_n(group, c.group * c.head_dim, row + kv * c.group * c.head_dim);
        std::copy_n(key, c.head_dim, row + (heads + kv) * c.head_dim);
        std::copy_n(key + c.head_dim, c.head_dim, row + (heads + c.kv_heads + kv) * c.head_dim);
      }
    }
  });
}

}  // namespace pith
