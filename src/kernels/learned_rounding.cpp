#include "kernels/learned_rounding.h"

#define PITH_KERNEL "kernels/learned_rounding.inc"
#include "kernels/per_isa.inc"

namespace pith {

void round_group(const RoundingGroup& group, float* out) { PITH_PICK(active_isa(), round_group(group, out)); }
RangeSlopes rounding_backward(const RoundingGroup& group, const float* dout, float rate) {
  return PITH_PICK(active_isa(), rounding_backward(group, dout, rate));
}

}  // namespace pith
