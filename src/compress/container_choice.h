// What a recipe leaves to its source.
#pragma once
#include <string>

#include "compress/recipe.h"
#include "model/export.h"

namespace pith {

// What holds the recipe's formats: `named` (as --to has it) where it is not empty, GGUF where `out` ends so, else the
// source's own where both it and GGUF can. Error(input) for an unknown name.
Container choose_container(const std::string& named, const std::string& out, const Recipe& recipe, const Model& model);

// What another model is made of is f32 on the way; it is stored as the source is where the recipe names no format.
void settle_format(Recipe& recipe, const Model& model);

}  // namespace pith
