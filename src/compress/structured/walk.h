// The calibration text's way through a model as it is.
#pragma once
#include <functional>
#include <string_view>

#include "compress/calibrate/calibration_text.h"
#include "core/progress.h"
#include "model/forward.h"

namespace pith {

// Each sequence through all blocks, whose matrices' inputs the observer sees. stream(layer, x, length), where given, is
// shown the residual stream (length, hidden) before each block, and after the last as if there were one more. `stage`
// and `doing` are for the progress.
void walk_blocks(const Model& model, const CalibrationTokens& tokens, std::string_view stage, std::string_view doing,
                 Progress& progress, LinearObserver& observer,
                 const std::function<void(dim layer, const float* x, dim length)>& stream = {});

}  // namespace pith
