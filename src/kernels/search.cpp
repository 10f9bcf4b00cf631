#include "kernels/search.h"

#define PITH_KERNEL "kernels/search.inc"
#include "kernels/per_isa.inc"

namespace pith::kernels {

const SearchKernels& search_kernels([[maybe_unused]] Isa isa) { return PITH_PICK(isa, kTable); }

}  // namespace pith::kernels
