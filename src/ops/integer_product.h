// y = x W^T + bias from integer codes of both: x rounded row by row as an ActPlan says, the weight in a format on a
// grid (formats/grid.h). Codes are multiplied and summed exactly in int32, group by group. Same bits for any number of
// threads, for any instruction set, and for a row of x alone or among others.
#pragma once
#include "ops/linear.h"

namespace pith {

// Whether it applies: integer codes on both sides, in groups that int32 holds.
bool is_integer_product(const LinearCall& call);
void integer_product(const LinearCall& call, LinearWorkspace& workspace);

}  // namespace pith
