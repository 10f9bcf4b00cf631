// Products of dense matrices in double, by BLAS on the caller's threads. Matrices are row-major. Blocks of one size:
// the same bits for any number of threads.
#pragma once
#include "core/base.h"

namespace pith {

enum class Turned { no, yes };

// c (m, n) = a b with a (m, k) and b (k, n); turned: a lies there as (k, m), b as (n, k).
void matrix_product(const double* a, Turned a_turned, const double* b, Turned b_turned, dim m, dim n, dim k, double* c);

// x (count, n), each row replaced by the y with y h = x; h (n, n) symmetric positive definite, destroyed. False where
// it is not, or not finite.
bool solve_positive(double* h, dim n, double* x, dim count);

}  // namespace pith
