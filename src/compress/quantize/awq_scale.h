// AWQ's search for column factors: mean |x|^alpha, with the alpha that loses least.
#pragma once
#include "compress/method.h"

namespace pith {

struct AwqSearch {
  std::vector<double>
      losses;            // by alpha: 0, 0.05 ... 0.95; sum of (w - w') X^T X (w - w')^T over rows that stand for all
  std::size_t best = 0;  // the first of the least
  std::vector<float> factors;  // (cols) of the best; empty where that is alpha = 0
};

// All matrices have moments and the same number of columns. Rows: of each matrix, at most so many are tried.
AwqSearch awq_search(std::span<const ScaledMatrix> matrices, const RangeSearch& range, dim most_rows);

}  // namespace pith
