// Eigenvectors of symmetric matrices, in double, by LAPACK on the caller's thread.
#pragma once
#include "core/base.h"

namespace pith {

// a (n, n), symmetric, becomes its eigenvectors: row k belongs to values[k]; values ascend. False, with a destroyed,
// where a is not finite or LAPACK finds no end.
bool eigen_symmetric(double* a, dim n, double* values);

}  // namespace pith
