// Formats for each matrix under one budget of bytes.
#pragma once
#include "compress/pipeline.h"

namespace pith {

// Overrides that give every linear and the embedding a format of the container, so that the written weight files take
// at most recipe.max_bytes and the predicted divergence from the original is least. Error(input) when no choice is so
// small.
std::vector<Override> allocate_formats(const Model& model, const Recipe& recipe, Container container,
                                       const std::filesystem::path& target, Progress& progress);

}  // namespace pith
