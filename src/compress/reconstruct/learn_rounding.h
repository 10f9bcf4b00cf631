// The loop that autoround and omniquant share: rounded matrices whose ranges and roundings follow the gradient of the
// block's error.
#pragma once
#include "compress/reconstruct/trained_matrix.h"

namespace pith {

struct LearningPlan {
  LearnedParts parts;
  dim iterations = 200, batch = 4;
  // number: of the step, from 0
  std::function<void(TrainedMatrix& matrix, dim number)> step;
};
// Leaves in each matrix's `encoded` the best that was seen, which may be what was there. Matrices whose formats are no
// even grids keep their codes, and the task's note names them.
void learn_rounding(BlockTask& task, const LearningPlan& plan);

}  // namespace pith
