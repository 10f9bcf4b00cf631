#include "math/eigen.h"

#include <algorithm>
#include <cmath>

#include "math/lapack.h"

namespace pith {

bool eigen_symmetric(double* a, dim n, double* values) {
  if (!std::all_of(a, a + n * n, [](double v) { return std::isfinite(v); })) return false;
  keep_lapack_on_this_thread();
  // LAPACK counts by columns: its columns are our rows.
  return LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', lapack_size(n), a, lapack_size(n), values) == 0;
}

}  // namespace pith
