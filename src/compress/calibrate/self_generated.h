// Calibration text that the model writes itself, where none is given (as in LLM-QAT, arXiv:2305.17888).
#pragma once
#include "compress/calibrate/calibration_text.h"

namespace pith {

// Each sample begins with BOS, or else a random token, goes on with the likeliest token for 4 and is then drawn from
// the model at temperature 1. The same seed gives the same tokens.
CalibrationTokens self_generated(const Model& model, const CalibrationChoice& choice);

}  // namespace pith
