#include "kernels/sparse_dot.h"

#include "kernels/expand.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the compiler's own header: operands unused on purpose
#endif
#define PITH_KERNEL "kernels/sparse_dot.inc"
#include "kernels/per_isa_expand.inc"

namespace pith {

float sparse_dot16(const float* x, const SparseRow16& row, dim n) {
  return PITH_PICK_EXPAND(has_expand(), sparse_dot(x, row, n));
}
void spread_row16(const SparseRow16& row, dim n, std::uint16_t* out) {
  PITH_PICK_EXPAND(has_expand(), spread_row(row, n, out));
}

}  // namespace pith
