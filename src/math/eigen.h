// Eigenvectors of symmetric matrices, in double, by LAPACK on the caller's thread.
#pragma once
#include <cstdint>

#include "core/base.h"

namespace pith {

// a (n, n), symmetric, becomes its eigenvectors: row k belongs to values[k]; values ascend. False, with a destroyed,
// where a is not finite or LAPACK finds no end.
bool eigen_symmetric(double* a, dim n, double* values);

// Of a (n, n) positive semidefinite only the `count` largest, to `values`, descending; row k of vectors (count, n)
// belongs to values[k]. Randomized subspace iteration (Halko, Martinsson, Tropp 2011, arXiv:0909.4061), seeded: good
// where the values fall, and never more than the true ones. Much quicker where count is a small part of n. False where
// a is not finite.
bool eigen_largest(const double* a, dim n, dim count, std::uint64_t seed, double* values, double* vectors);

}  // namespace pith
