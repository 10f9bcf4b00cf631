// LoRC: what compression took away, given back as a low-rank adapter of the compressed model.
#pragma once
#include <functional>

#include "compress/calibrate/calibration_text.h"
#include "core/progress.h"
#include "model/exchange/lora_write.h"

namespace pith {

struct Recovered {
  std::vector<AdapterPart> parts;  // of `compressed`: its linear layers outside experts that differ from the original
  double before = 0, after = 0;    // damage tr(E H E^T) over all of them, without and with the adapter
  dim tokens = 0;
  std::vector<std::string> notes;
};

// `compressed` has the original's matrices, in the same or the other container. The inputs are those of the original on
// the calibration text. Parts whose matrix is smaller than the rank are filled up with zeros.
Recovered recover(const Model& original, const Model& compressed, dim rank, const CalibrationChoice& choice,
                  Progress& progress = no_progress());
// The same with a rank for each matrix of `compressed`; 0: none.
Recovered recover(const Model& original, const Model& compressed, const std::function<dim(const ModelTensor&)>& rank_of,
                  const CalibrationChoice& choice, Progress& progress = no_progress());

}  // namespace pith
