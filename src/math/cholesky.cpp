#include "math/cholesky.h"

#include <algorithm>
#include <cmath>

#include "math/lapack.h"

namespace pith {

bool factor_upper(double* h, dim n) {
  keep_lapack_on_this_thread();
  // Element (i, j) moves to (n-1-i, n-1-j): the whole array backwards.
  std::reverse(h, h + n * n);
  // LAPACK counts by columns: its upper triangle is our lower one.
  if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', lapack_size(n), h, lapack_size(n)) != 0) return false;
  std::reverse(h, h + n * n);
  for (dim i = 0; i < n; ++i) {
    if (!std::isfinite(h[i * n + i])) return false;
    std::fill(h + i * n, h + i * n + i, 0.0);
  }
  return true;
}

}  // namespace pith
