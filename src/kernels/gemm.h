// Products of small dense f32 matrices, single-threaded; the callers split the outputs over threads. Each output
// is one chain of multiply-adds over k in a fixed order (per block of kGemmDepth), whatever the split. The avx2 text
// uses FMA, the scalar one does not: their results differ by rounding.
#pragma once
#include "core/base.h"

namespace pith {

inline constexpr dim kGemmWidth = 16;   // columns of a packed group
inline constexpr dim kGemmDepth = 288;  // k in one pass: a packed group of this depth stays in the L1 cache
inline constexpr dim kGemmHeight = 6;   // rows of a register tile; multiples of it are best

// c (m, n) = a (m, k) * b (k, n), or c += with `add`.
struct GemmCall {
  dim m = 0, n = 0, k = 0;
  const float* a = nullptr;  // element (i, j) at a[i * a_row + j * a_col]
  dim a_row = 0, a_col = 1;
  const float* b = nullptr;  // groups of 16 columns one after another, each (k, 16); lanes beyond n are ignored
  float* c = nullptr;        // element (i, j) at c[i * c_row + j]
  dim c_row = 0;
  bool add = false;
};
void gemm(const GemmCall& call);

// Transposes `count` <= 16 rows of k values (row r at rows + r * stride) into one group (k, 16); missing lanes become
// 0.
void pack_group(const float* rows, dim stride, dim count, dim k, float* group);

// a . b in eight running sums of fixed order; b in float32, or in 16-bit floats, widened on the way: the same bits.
float dot(const float* a, const float* b, dim n);
float dot_bf16(const float* a, const std::byte* b, dim n);
float dot_f16(const float* a, const std::byte* b, dim n);

}  // namespace pith
