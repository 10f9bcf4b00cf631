#include "kernels/rows.h"

#include <immintrin.h>

#include "kernels/isa.h"

#define PITH_ISA scalar
#define PITH_FMA(a, b, c) ((a) * (b) + (c))
#include "kernels/rows.inc"
#undef PITH_FMA
#undef PITH_ISA
PITH_BEGIN_AVX2
#define PITH_ISA avx2
#define PITH_FMA(a, b, c) ((F8)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#include "kernels/rows.inc"
#undef PITH_FMA
#undef PITH_ISA
PITH_END_TARGET

namespace pith {

#define PITH_PICK(call) (active_isa() == Isa::avx2 ? kernels::avx2::call : kernels::scalar::call)

bool norm_row(const NormCall& call) { return PITH_PICK(norm_row(call)); }
void activate(ActivationKernel kind, const float* gate, const float* up, dim n, float* out) {
  PITH_PICK(activate(kind, gate, up, n, out));
}
void rotate(float* x, const float* cosine, const float* sine, dim half, bool neighbours) {
  PITH_PICK(rotate(x, cosine, sine, half, neighbours));
}
void add_scaled(float* x, const float* y, float scale, dim n) { PITH_PICK(add_scaled(x, y, scale, n)); }
void add(float* x, const float* y, dim n) { PITH_PICK(add(x, y, n)); }
void multiply(float* x, float factor, dim n) { PITH_PICK(multiply(x, factor, n)); }
void soft_cap(float* x, float cap, dim n) { PITH_PICK(soft_cap(x, cap, n)); }
bool all_finite(const float* x, dim n) { return PITH_PICK(all_finite(x, n)); }
void softmax_row(float* x, dim n) { PITH_PICK(softmax_row(x, n)); }
void softmax_columns(const ColumnSoftmax& call) { PITH_PICK(softmax_columns(call)); }

#undef PITH_PICK

}  // namespace pith
