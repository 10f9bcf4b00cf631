// The linear-sum assignment problem (the Hungarian method by shortest augmenting paths; Jonker and Volgenant 1987).
#pragma once
#include <vector>

#include "core/base.h"

namespace pith {

// cost (n, n), finite: row i is given column out[i], each column once, so that the sum of cost[i][out[i]] is least.
// Of equal choices always the same. O(n^3).
std::vector<dim> least_assignment(const double* cost, dim n);

}  // namespace pith
