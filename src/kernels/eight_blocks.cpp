#include "kernels/eight_blocks.h"

#include "core/base.h"
#include "kernels/search.h"

#define PITH_KERNEL "kernels/eight_blocks.inc"
#include "kernels/per_isa.inc"

namespace pith::kernels {

const EightBlockKernels& eight_block_kernels([[maybe_unused]] Isa isa) { return PITH_PICK(isa, kEightBlocks); }

}  // namespace pith::kernels
