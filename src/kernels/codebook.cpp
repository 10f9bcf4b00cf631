#include "kernels/codebook.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/half.h"

#define PITH_ISA scalar
#include "kernels/codebook.inc"
#undef PITH_ISA

#if defined(__x86_64__)
PITH_BEGIN_AVX2
#define PITH_ISA avx2
#define PITH_WITH_AVX2
#include "kernels/codebook.inc"
#undef PITH_WITH_AVX2
#undef PITH_ISA
PITH_END_TARGET
#endif

namespace pith::kernels {

const LatticeFacts& facts_of(Lattice kind) {
  static const LatticeFacts facts[] = {
      {codebook_2xxs(), 32, 16, 0.5f, 0.25f, true, false}, {codebook_2xs(), 16, 16, 0.5f, 0.25f, true, false},
      {codebook_2s(), 16, 16, 0.5f, 0.25f, false, false},  {codebook_3xxs(), 32, 16, 0.5f, 0.5f, true, false},
      {codebook_3s(), 32, 16, 0.5f, 2.0f, false, false},   {codebook_1(), 32, 8, 0.5f, 2.0f, false, true},
      {codebook_1(), 16, 8, 0.5f, 2.0f, false, true},
  };
  return facts[int(kind)];
}

const LatticeKernels& lattice_kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx2) return avx2::kLatticeTable;
#endif
  (void)isa;
  return scalar::kLatticeTable;
}

}  // namespace pith::kernels
