// Eight neighbouring blocks of 32 values at once into q4_0, q4_1, q5_0 and q5_1: the bytes that the searches and codes
// of kernels/search.h give for each block alone with Aim::best, no effort and equal weights. x: 256 values, unaligned.
#pragma once
#include <cstddef>

#include "kernels/isa.h"

namespace pith::kernels {

struct EightBlockKernels {
  using Encode = void (*)(const float* x, std::byte* out);
  Encode q4_0, q4_1, q5_0, q5_1;
};

const EightBlockKernels& eight_block_kernels(Isa isa);
inline const EightBlockKernels& eight_block_kernels() { return eight_block_kernels(active_isa()); }

}  // namespace pith::kernels
