#include "kernels/search.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/half.h"

#define PITH_ISA scalar
#include "kernels/search.inc"
#undef PITH_ISA

#if defined(__x86_64__)
PITH_BEGIN_AVX2
#define PITH_ISA avx2
#define PITH_WITH_AVX2
#include "kernels/search.inc"
#undef PITH_WITH_AVX2
#undef PITH_ISA
PITH_END_TARGET
#endif

namespace pith::kernels {

const SearchKernels& search_kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx2) return avx2::kTable;
#endif
  (void)isa;
  return scalar::kTable;
}

}  // namespace pith::kernels
