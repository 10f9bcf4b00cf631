// One-dimensional k-means: the levels with the least weighted squared error to their nearest values.
#pragma once
#include "core/base.h"

namespace pith {

// Fills `levels` with k ascending values, 1 <= k <= 256. w: n non-negative weights with one above 0, or null for equal
// weights. Exact (dynamic programming over the sorted values) for up to 512 values; more are first gathered in 512
// bins, and the levels found for the bins are then refined on all values until they stay (Lloyd's iteration).
void kmeans_levels(const float* x, const float* w, dim n, int k, double* levels);

}  // namespace pith
