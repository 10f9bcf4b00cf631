// Rows of 16-bit floats without their zeros: a mask with a bit for each column (formats/sparse.h), and the values whose
// bit is set one after another. Nothing is read at `end`, where the memory of the values ends, or after it.
#pragma once
#include "core/base.h"

namespace pith {

struct SparseRow16 {
  const std::byte* mask = nullptr;
  const std::byte* values = nullptr;
  const std::byte* end = nullptr;
  bool bfloat = false;  // bfloat16, else float16
};

// x . row, over n columns: the bits of dot_bf16 and dot_f16 (kernels/gemm.h) with the row's zeros in place.
float sparse_dot16(const float* x, const SparseRow16& row, dim n);
// The row with its zeros, n values of 16 bits.
void spread_row16(const SparseRow16& row, dim n, std::uint16_t* out);

}  // namespace pith
