#include "kernels/rows_backward.h"

#define PITH_KERNEL "kernels/rows_backward.inc"
#include "kernels/per_isa.inc"

namespace pith {

NormScale norm_row_backward(const NormBackwardCall& call) { return PITH_PICK(active_isa(), norm_row_backward(call)); }
void activate_backward(ActivationKernel kind, const float* gate, const float* up, const float* dy, dim n, float* dgate,
                       float* dup) {
  PITH_PICK(active_isa(), activate_backward(kind, gate, up, dy, n, dgate, dup));
}
void rotate_back(float* x, const float* cosine, const float* sine, dim half, bool neighbours) {
  PITH_PICK(active_isa(), rotate_back(x, cosine, sine, half, neighbours));
}

}  // namespace pith
