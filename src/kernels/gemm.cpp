#include "kernels/gemm.h"

#include <immintrin.h>

#include "kernels/isa.h"

#define PITH_ISA scalar
#define PITH_FMA(a, b, c) ((a) * (b) + (c))
#include "kernels/gemm.inc"
#undef PITH_FMA
#undef PITH_ISA
PITH_BEGIN_AVX2
#define PITH_ISA avx2
#define PITH_FMA(a, b, c) ((F8)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "kernels/gemm.inc"
#undef PITH_FMA
#undef PITH_ISA
PITH_END_TARGET

namespace pith {

void gemm(const GemmCall& call) { active_isa() == Isa::avx2 ? kernels::avx2::gemm(call) : kernels::scalar::gemm(call); }

void pack_group(const float* rows, dim stride, dim count, dim k, float* group) {
  if (active_isa() == Isa::avx2)
    kernels::avx2::pack_group(rows, stride, count, k, group);
  else
    kernels::scalar::pack_group(rows, stride, count, k, group);
}

float dot(const float* a, const float* b, dim n) {
  return active_isa() == Isa::avx2 ? kernels::avx2::dot(a, b, n) : kernels::scalar::dot(a, b, n);
}

}  // namespace pith
