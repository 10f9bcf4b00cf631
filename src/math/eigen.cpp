#include "math/eigen.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/rng.h"
#include "math/lapack.h"
#include "math/matrix_product.h"

namespace pith {

namespace {

// The rows of q (k, n) become orthonormal, and span what they spanned.
bool orthonormalize(std::vector<double>& q, dim k, dim n) {
  std::vector<double> tau(static_cast<std::size_t>(k));
  const lapack_int rows = lapack_size(n), cols = lapack_size(k);  // LAPACK's columns are our rows
  return LAPACKE_dgeqrf(LAPACK_COL_MAJOR, rows, cols, q.data(), rows, tau.data()) == 0 &&
         LAPACKE_dorgqr(LAPACK_COL_MAJOR, rows, cols, cols, q.data(), rows, tau.data()) == 0;
}

}  // namespace

bool eigen_symmetric(double* a, dim n, double* values) {
  if (!std::all_of(a, a + n * n, [](double v) { return std::isfinite(v); })) return false;
  keep_lapack_on_this_thread();
  // LAPACK counts by columns: its columns are our rows.
  return LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', lapack_size(n), a, lapack_size(n), values) == 0;
}

bool eigen_largest(const double* a, dim n, dim count, std::uint64_t seed, double* values, double* vectors) {
  PITH_CHECK(1 <= count && count <= n);
  if (!std::all_of(a, a + n * n, [](double v) { return std::isfinite(v); })) return false;
  keep_lapack_on_this_thread();
  constexpr dim kMore = 16;  // directions beside those asked for
  constexpr int kRounds = 6;
  const dim k = std::min(n, count + kMore);
  std::vector<double> q(std::size_t(k * n)), next(q.size());
  Rng rng(seed);
  for (double& v : q) v = rng.normal();
  for (int round = 0; round < kRounds; ++round) {
    if (!orthonormalize(q, k, n)) return false;
    matrix_product(q.data(), Turned::no, a, Turned::no, k, n, n, next.data());
    q.swap(next);
  }
  if (!orthonormalize(q, k, n)) return false;
  matrix_product(q.data(), Turned::no, a, Turned::no, k, n, n, next.data());
  std::vector<double> small(std::size_t(k * k)), found(static_cast<std::size_t>(k)), chosen(std::size_t(count * k));
  matrix_product(next.data(), Turned::no, q.data(), Turned::yes, k, k, n, small.data());
  if (!eigen_symmetric(small.data(), k, found.data())) return false;
  for (dim i = 0; i < count; ++i) {
    values[i] = std::max(0.0, found[std::size_t(k - 1 - i)]);
    std::copy_n(small.data() + (k - 1 - i) * k, k, chosen.data() + i * k);
  }
  matrix_product(chosen.data(), Turned::no, q.data(), Turned::no, count, n, k, vectors);
  return true;
}

}  // namespace pith
