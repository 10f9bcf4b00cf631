// How long a run will take and how much memory, before it starts.
#pragma once
#include "compress/prepare.h"

namespace pith {

// Fills seconds and peak_ram_bytes of the preflight of what is prepared otherwise. Encodes some rows of each kind of
// tensor and times them.
void predict(const Model& model, const Recipe& recipe, Prepared& prepared);

}  // namespace pith
