// What the output asks for while it runs: how inputs are rounded, and how keys and values are stored.
#pragma once
#include "compress/pipeline.h"

namespace pith {

// The recipe's choices, else the source's as far as the container has a place for them; a note where it has none.
// Error(input) for choices that the output cannot have.
RunTime run_time_of(const Model& model, const Recipe& recipe, Container container, std::vector<std::string>& notes);

}  // namespace pith
