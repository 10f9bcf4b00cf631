// Recipes as YAML, and those that come with the program. The keys are in docs/recipes.md.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "compress/recipe.h"

namespace pith {

struct RecipeFile {
  std::string name, summary;
  Recipe recipe;
  std::string container;  // as in `--to`; empty: what holds the format
};

// Paths in it are relative to `folder`. Error(input) with the line for what is unknown, doubled or out of range.
RecipeFile parse_recipe(const std::string& yaml, std::string_view name, const std::filesystem::path& folder);

// What parse_recipe reads; paths are absolute.
std::string recipe_yaml(const RecipeFile& file);

struct Preset {
  std::string_view name, yaml;
};
std::span<const Preset> all_presets();
const Preset& preset_or_throw(std::string_view name);  // Error(input) that lists them

// A preset's name, or the path of a file (with a slash, or ending in .yaml or .yml). Error(input) that lists the
// presets.
RecipeFile open_recipe(const std::string& name_or_path);

}  // namespace pith
