// What a sweep measures, as YAML (docs/sweep.md): models x points, all under one protocol.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/recipe_file.h"
#include "study/measure.h"

namespace pith {

struct SweepModel {
  std::string name, path;
};

struct SweepPoint {
  std::string name;  // "gptq int4_g64"; no two have one file_name
  RecipeFile recipe;
};

struct SweepPlan {
  std::string title = "Sweep";
  std::filesystem::path out;  // the folder of journal, results and, where they are kept, models
  bool keep = true;           // the models' files
  std::vector<SweepModel> models;
  std::vector<SweepPoint> points;
  MeasureOptions measure;
};

// What a model's folder and a point's file are called: signs that a file system may not take are dashes.
std::string file_name(const std::string& name);

// What takes the place of a file's own, where given.
struct SweepOverrides {
  std::vector<std::string> models, calibrate;
  std::string text, out;
  std::optional<dim> windows;
};

// Paths in the file are relative to its folder. Error(input), with the line where there is one, for what is unknown,
// doubled or missing.
SweepPlan read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides);
SweepPlan parse_sweep(const std::string& yaml, const std::string& name, const std::filesystem::path& folder,
                      const SweepOverrides& overrides);

}  // namespace pith
