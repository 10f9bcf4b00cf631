#include "ops/kv/hadamard.h"

#include <cmath>

#include "core/rng.h"

namespace pith {

HeadRotation::HeadRotation(dim head_dim, std::uint64_t seed)
    : head_dim_(head_dim), block_(head_dim & -head_dim), seed_(seed) {}

float HeadRotation::sign(dim channel) const {
  return seed_ == 0 || (mix64(seed_, std::uint64_t(channel)) & 1) == 0 ? 1.0f : -1.0f;
}

// Sylvester's matrix over sqrt(block), which is its own inverse.
void HeadRotation::transform(float* head) const {
  const float scale = float(1 / std::sqrt(double(block_)));
  for (float* x = head; x < head + head_dim_; x += block_) {
    for (dim half = 1; half < block_; half *= 2)
      for (dim at = 0; at < block_; at += 2 * half)
        for (dim i = at; i < at + half; ++i) {
          const float a = x[i], b = x[i + half];
          x[i] = a + b;
          x[i + half] = a - b;
        }
    for (dim i = 0; i < block_; ++i) x[i] *= scale;
  }
}

void HeadRotation::forward(float* heads, dim count) const {
  for (float* head = heads; head < heads + count * head_dim_; head += head_dim_) {
    if (seed_ != 0)
      for (dim i = 0; i < head_dim_; ++i) head[i] *= sign(i);
    transform(head);
  }
}

void HeadRotation::backward(float* heads, dim count) const {
  for (float* head = heads; head < heads + count * head_dim_; head += head_dim_) {
    transform(head);
    if (seed_ != 0)
      for (dim i = 0; i < head_dim_; ++i) head[i] *= sign(i);
  }
}

}  // namespace pith
