// Factors of the rows and columns of a block's tensors, which leave what the block computes as it is.
#pragma once
#include <map>
#include <vector>

#include "core/base.h"

namespace pith {

// On the way out a value v becomes (v + offset) * rows[r] * cols[c] - offset.
struct TensorScales {
  std::vector<float> rows, cols;  // empty: 1
  float offset = 0;               // of norms that are stored as w - 1
};

using BlockScales = std::map<std::size_t, TensorScales>;  // by Model::tensors() index

}  // namespace pith
