#include "math/matrix_product.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "math/lapack.h"

namespace pith {

void matrix_product(const double* a, Turned a_turned, const double* b, Turned b_turned, dim m, dim n, dim k,
                    double* c) {
  constexpr dim kBlock = 64;
  const auto order = [](Turned t) { return t == Turned::yes ? CblasTrans : CblasNoTrans; };
  keep_lapack_on_this_thread();
  parallel_for((m + kBlock - 1) / kBlock, [&](dim block) {
    const dim first = block * kBlock, rows = std::min(kBlock, m - first);
    const bool turned = a_turned == Turned::yes;
    cblas_dgemm(CblasRowMajor, order(a_turned), order(b_turned), lapack_size(rows), lapack_size(n), lapack_size(k), 1,
                a + (turned ? first : first * k), lapack_size(turned ? m : k), b,
                lapack_size(b_turned == Turned::yes ? k : n), 0, c + first * n, lapack_size(n));
  });
}

bool solve_positive(double* h, dim n, double* x, dim count) {
  if (!std::all_of(h, h + n * n, [](double v) { return std::isfinite(v); })) return false;
  keep_lapack_on_this_thread();
  // LAPACK counts by columns: its right-hand sides are our rows.
  return LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', lapack_size(n), lapack_size(count), h, lapack_size(n), x,
                       lapack_size(n)) == 0;
}

}  // namespace pith
