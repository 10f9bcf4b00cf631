// Matrices in f32, as edits of a model make them.
#pragma once
#include <vector>

#include "model/model.h"

namespace pith {

// The tensor becomes this matrix of f32 values, which somebody else owns.
void set_values(ModelTensor& t, dim rows, dim cols, const std::byte* values);

std::vector<float> decoded(const ModelTensor& t);  // (rows, cols), as decode_row

// base + outer inner, summed in double: (rows, cols) f32. base: null for none.
Buffer product(const ModelTensor* base, const ModelTensor& outer, const ModelTensor& inner);

}  // namespace pith
