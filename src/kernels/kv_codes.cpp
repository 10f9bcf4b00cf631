#include "kernels/kv_codes.h"

#define PITH_KERNEL "kernels/kv_codes.inc"
#include "kernels/per_isa.inc"

namespace pith::kernels {

const KvKernels& kv_kernels([[maybe_unused]] Isa isa) { return PITH_PICK(isa, kTable); }

}  // namespace pith::kernels
