// What each linear layer's inputs look like over a text, for files of importance.
#pragma once
#include "compress/calibrate/calibration_text.h"
#include "core/group.h"
#include "core/progress.h"
#include "io/imatrix.h"

namespace pith {

struct MeasuredImportance {
  ImatrixContents contents;  // every matrix that multiplies activations, the head included, in the model's order
  dim tokens = 0;
  std::vector<std::string> notes;  // on the text; matrices that no token reached
};

// By the forward pass of the model as it is; processes of a group run a part of the text each. Error(input) when the
// text has not one sample.
MeasuredImportance measure_importance(const Model& model, const CalibrationChoice& choice,
                                      Progress& progress = no_progress(), Group& group = one_process());

}  // namespace pith
