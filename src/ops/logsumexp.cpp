#include "ops/logsumexp.h"

#include "kernels/isa.h"

#define PITH_ISA scalar
#include "ops/logsumexp.inc"
#undef PITH_ISA
PITH_BEGIN_AVX2
#define PITH_ISA avx2
#include "ops/logsumexp.inc"
#undef PITH_ISA
PITH_END_TARGET

namespace pith {

RowScan scan_row(const float* x, dim n) {
  RowScan result;
  float zero = 0;
  if (active_isa() == Isa::avx2)
    eval_kernels::avx2::scan(x, n, &result.max, &zero);
  else
    eval_kernels::scalar::scan(x, n, &result.max, &zero);
  result.finite = zero == 0;
  return result;
}

double sum_exp(const float* x, dim n, float max) {
  return active_isa() == Isa::avx2 ? eval_kernels::avx2::sum(x, n, max) : eval_kernels::scalar::sum(x, n, max);
}

DifferenceSums sum_exp_difference(const float* x, const float* y, dim n, float max) {
  DifferenceSums sums;
  if (active_isa() == Isa::avx2)
    eval_kernels::avx2::sum_difference(x, y, n, max, &sums.sum, &sums.weighted);
  else
    eval_kernels::scalar::sum_difference(x, y, n, max, &sums.sum, &sums.weighted);
  return sums;
}

}  // namespace pith
