// A block's way through the methods that see it whole, between the rounding of its matrices and their writing.
#pragma once
#include <functional>
#include <map>

#include "compress/calibrate/calibrator.h"
#include "compress/fold/scales.h"
#include "compress/prepare.h"
#include "core/progress.h"

namespace pith {

struct Finished {
  std::map<std::size_t, Buffer> rows;  // of the matrices, by index into ExportPlan::tensors: the target's rows
  std::string note;                    // what the methods say
};

// After the block's inputs were gathered and scaled. round(index): gives the calibrator a tensor's rows as the other
// steps round them. Factors of norms go into `scales`. Matrices that keep their codes or outliers apart, or
// are transposed on their way out, stay as they are.
Finished finish_block(const Model& model, const Prepared& prepared, dim layer, Calibrator& calibrator,
                      BlockScales& scales, const std::function<void(std::size_t index)>& round, Progress& progress);

// About, of the methods that the recipe names.
dim finishing_bytes(const Model& model, const Prepared& prepared);

}  // namespace pith
