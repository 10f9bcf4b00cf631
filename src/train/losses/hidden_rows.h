// The loss of a student's states inside the model against a teacher's, with its gradient.
#pragma once
#include <string_view>

#include "core/base.h"

namespace pith {

enum class HiddenKind {
  cosine,  // |x/|x| - t/|t||^2 = 2 - 2 cos(x, t)
  mse      // mean of (x - t)^2
};
HiddenKind hidden_kind_or_throw(std::string_view name);  // Error(input)
const char* name_of(HiddenKind kind);

// x, teacher: one state each, (n). gradient: (n), to which weight times the value's is added. Returns the value.
double hidden_row(HiddenKind kind, const float* x, const float* teacher, dim n, double weight, float* gradient);

}  // namespace pith
