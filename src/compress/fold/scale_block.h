// A block's factors, as the methods that scale want them.
#pragma once
#include "compress/calibrate/calibrator.h"
#include "compress/fold/scales.h"
#include "compress/prepare.h"

namespace pith {

// After the block's inputs were gathered, which are then counted as they will be. What a norm stores decides the
// factors to the last bit: its rounding is made up for by the matrices that read it. Inputs are left alone where
// something that makes or reads them keeps its codes, or is written otherwise than row by row.
BlockScales scale_block(const Model& model, const Prepared& prepared, dim layer, Calibrator& calibrator);

// What cannot be scaled, one line each for all blocks. The plan is made already.
std::vector<std::string> notes_on_scales(const Model& model, const Prepared& prepared);

}  // namespace pith
