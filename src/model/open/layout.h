// Tensors that containers store otherwise than the model sees them.
#pragma once
#include "model/model_impl.h"

namespace pith {

// A (in, out) matrix, as Conv1D stores it, becomes (out, in) in memory of its own. Error(input) unless it is dense and
// a matrix.
void turn_conv1d(ModelTensor& t);

// The slices of a stacked tensor (experts, rows, cols), one for each expert. Error(input) when it is no such stack.
std::vector<ModelTensor> expert_slices(ModelTensor stacked, dim experts);

}  // namespace pith
