#include "kernels/rows.h"

#define PITH_KERNEL "kernels/rows.inc"
#include "kernels/per_isa.inc"

namespace pith {

bool norm_row(const NormCall& call) { return PITH_PICK(active_isa(), norm_row(call)); }
void activate(ActivationKernel kind, const float* gate, const float* up, dim n, float* out) {
  PITH_PICK(active_isa(), activate(kind, gate, up, n, out));
}
void rotate(float* x, const float* cosine, const float* sine, dim half, bool neighbours) {
  PITH_PICK(active_isa(), rotate(x, cosine, sine, half, neighbours));
}
void add_scaled(float* x, const float* y, float scale, dim n) { PITH_PICK(active_isa(), add_scaled(x, y, scale, n)); }
void add(float* x, const float* y, dim n) { PITH_PICK(active_isa(), add(x, y, n)); }
void multiply(float* x, float factor, dim n) { PITH_PICK(active_isa(), multiply(x, factor, n)); }
void soft_cap(float* x, float cap, dim n) { PITH_PICK(active_isa(), soft_cap(x, cap, n)); }
bool all_finite(const float* x, dim n) { return PITH_PICK(active_isa(), all_finite(x, n)); }
ErrorSums error_sums(const float* source, const float* decoded, dim n) {
  return PITH_PICK(active_isa(), error_sums(source, decoded, n));
}
dim count_zeros(const float* x, dim n) { return PITH_PICK(active_isa(), count_zeros(x, n)); }
void softmax_row(float* x, dim n) { PITH_PICK(active_isa(), softmax_row(x, n)); }
void softmax_columns(const ColumnSoftmax& call) { PITH_PICK(active_isa(), softmax_columns(call)); }

}  // namespace pith
