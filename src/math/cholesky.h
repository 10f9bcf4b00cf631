// Triangular factors of symmetric positive definite matrices, in double, by LAPACK. Matrices are dense, row-major,
// (n, n). Same bits for any number of threads: each call runs on its caller's thread.
#pragma once
#include "core/base.h"

namespace pith {

// h = R R^T with R upper triangular, in place (zero below the diagonal). False, with h destroyed, when h is not
// positive definite or not finite.
// This is the Cholesky factorization of h with rows and columns counted backwards. R[k][k]^2 is what column k of a
// quadratic form x h x^T still costs once the columns after k were chosen freely, and R[0..k, k] / R[k][k] is how the
// errors of the columns before k reach it: error feedback needs no inverse.
bool factor_upper(double* h, dim n);

}  // namespace pith
