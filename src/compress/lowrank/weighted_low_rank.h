// The matrix of low rank that is nearest to an error in what it does to the inputs: with H the inputs' second moments,
// E - B A has the least (E - B A) H (E - B A)^T over all of its rank. (LoRC of ZeroQuant-V2, arXiv:2303.08302, weighted
// as SVD-LLM weighs, arXiv:2403.07378.)
#pragma once
#include <vector>

#include "math/second_moment.h"

namespace pith {

struct LowRank {
  dim rank = 0;
  std::vector<float> b;          // (rows, rank)
  std::vector<float> a;          // (rank, cols)
  double before = 0, after = 0;  // tr(E H E^T) of the error, and of what B A leaves
};

// e: (rows, cols). moment: of size cols, or null: all inputs count alike. rank: at most min(rows, cols) is used.
// Error(input) when the moments are not finite.
LowRank weighted_low_rank(const float* e, dim rows, dim cols, const SecondMoment* moment, dim rank);

}  // namespace pith
