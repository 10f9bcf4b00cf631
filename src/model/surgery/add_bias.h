// Biases where a model had none.
#pragma once
#include <span>

#include "model/model_impl.h"

namespace pith {

// Adds to the bias of a matrix, f32 from then on; `more` (rows of the matrix), or empty: a bias of zeros where there is
// none. Nothing happens where the family has no place for one, or the layer no such matrix.
void add_bias(Model::Impl& model, Role role, dim layer, std::span<const float> more);

}  // namespace pith
