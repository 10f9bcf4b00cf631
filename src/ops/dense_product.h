// Dense matrix products by oneDNN, for what our own kernels have no instructions for: bf16 operands with f32 sums.
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

}  // namespace pith
