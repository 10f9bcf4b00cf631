// An orthogonal turn of a head's channels: signs, then a Hadamard matrix over blocks of the largest power of two that
// divides the head. It costs n log n and needs no table.
#pragma once
#include "core/base.h"

namespace pith {

class HeadRotation {
 public:
  HeadRotation(dim head_dim, std::uint64_t seed);  // seed 0: no signs
  void forward(float* heads, dim count) const;     // (count, head_dim), in place
  void backward(float* heads, dim count) const;    // its inverse

 private:
  void transform(float* head) const;
  float sign(dim channel) const;
  dim head_dim_, block_;
  std::uint64_t seed_;
};

}  // namespace pith
