// Recipes within other YAML files. Heavy: for sources that read YAML.
#pragma once
#include "compress/recipe_file.h"
#include "compress/yaml_fields.h"

namespace pith {

// A map with the keys of recipes, and with `others`, whose values are for the caller. As parse_recipe.
RecipeFile recipe_of_node(const YAML::Node& map, std::string_view file, const std::filesystem::path& folder,
                          const YamlFields::Keys& others);
// The value of a recipe's `calibrate`, over what the recipe has of it; with true_sequential in it.
void read_calibration(const YAML::Node& map, std::string_view file, const std::filesystem::path& folder,
                      Recipe& recipe);

}  // namespace pith
