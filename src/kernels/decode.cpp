#include "kernels/decode.h"

#define PITH_KERNEL "kernels/decode.inc"
#include "kernels/per_isa.inc"

namespace pith::kernels {

const DecodeKernels& decode_kernels([[maybe_unused]] Isa isa) { return PITH_PICK(isa, kTable); }

}  // namespace pith::kernels
