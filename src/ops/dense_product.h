// Dense matrix products by oneDNN, for what our own kernels have no instructions for, bf16 operands
// with f32 sums, and for the products of the backward pass.
#pragma once
#include "core/base.h"

namespace pith {

enum class DenseType { f32, bf16 };

// This processor multiplies bf16 itself (AVX512-BF16 or AMX); PITH_FORCE_ISA turns it off.
bool has_bf16_products();

// y (n, rows) = or += x (n, cols) * w^T, w (rows, cols); x and w dense and of `type`, y of f32 with rows y_stride
// apart. Runs on the calling thread alone, with the same result for the same shape.
struct DenseCall {
  DenseType type = DenseType::f32;
  const void* x = nullptr;
  const void* w = nullptr;
  float* y = nullptr;
  dim n = 0, rows = 0, cols = 0, y_stride = 0;
  bool add = false;
};
void dense_product(const DenseCall& call);

// The same for operands that lie in any order: c (m, n) = or += a (m, k) * b (k, n). Element (i, j) of a lies at
// a[i * a_row + j * a_col], where one of the two is 1; of b likewise; of c at c[i * c_row + j].
struct MatrixCall {
  DenseType type = DenseType::f32;
  const void* a = nullptr;
  dim a_row = 0, a_col = 1;
  const void* b = nullptr;
  dim b_row = 0, b_col = 1;
  float* c = nullptr;
  dim c_row = 0;
  dim m = 0, n = 0, k = 0;
  bool add = false;
};
void matrix_product(const MatrixCall& call);

}  // namespace pith
