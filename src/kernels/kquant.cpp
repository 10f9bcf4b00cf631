#include "kernels/kquant.h"

#define PITH_KERNEL "kernels/kquant.inc"
#include "kernels/per_isa.inc"

namespace pith::kernels {

const KquantKernels& kquant_kernels([[maybe_unused]] Isa isa) { return PITH_PICK(isa, kKquantTable); }

}  // namespace pith::kernels
