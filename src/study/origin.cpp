#include "study/origin.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "compress/method.h"
#include "core/error.h"
#include "io/files.h"
#include "io/json.h"

namespace pith {

namespace {

const Step* step_of(const Recipe& recipe, std::string_view family) {
  for (const Step& step : recipe.steps)
    if (method_or_throw(step.method).family == family) return &step;
  return nullptr;
}

bool has_pattern(const Step& step) {
  return std::any_of(step.options.begin(), step.options.end(),
                     [](const std::string& option) { return option.starts_with("pattern=") && option.size() > 8; });
}

void add_recipe(const RecipeFile& file, report::ModelRecord& record) {
  record.category = category_of(file.recipe);
  record.method = steps_text(file.recipe);
  record.recipe = shown_recipe(file);
  record.pruned = takes_away(file.recipe);
  record.container = file.container;
}

void read_report(const nlohmann::json& json, const std::string& where, report::ModelRecord& record) {
  for (const auto& t : json.at("outcome").at("tensors"))
    if (t.at("relative_error") > 0)
      record.tensors.push_back(
          {t.at("role").get<std::string>(), t.at("layer").get<dim>(), t.at("relative_error").get<double>()});
  record.compress_seconds = json.at("outcome").at("seconds").get<double>();
  add_recipe(parse_recipe(json.at("recipe_yaml").get<std::string>(), where, {}), record);
}

}  // namespace

std::string shown_recipe(const RecipeFile& file) {
  std::string yaml = recipe_yaml(file);
  const auto shorten = [&](const std::filesystem::path& path) {
    for (const auto& whole : {std::filesystem::absolute(path), std::filesystem::absolute(path).lexically_normal()})
      if (const std::size_t at = yaml.find(whole.string()); at != std::string::npos)
        yaml.replace(at, whole.string().size(), path.filename().string());
  };
  if (file.recipe.calibration)
    for (const auto& path : file.recipe.calibration->files) shorten(path);
  if (file.recipe.importance_file) shorten(*file.recipe.importance_file);
  if (file.recipe.adapter) shorten(*file.recipe.adapter);
  return yaml;
}

std::string category_of(const Recipe& recipe) {
  if (step_of(recipe, "structured pruning")) return "structured pruning";
  if (const Step* step = step_of(recipe, "pruning"))
    return has_pattern(*step) ? "semi-structured pruning" : "unstructured pruning";
  if (step_of(recipe, "low rank")) return "low-rank factorization";
  if (recipe.activations) return "weight-activation quantization";
  const bool weights = recipe.format || recipe.max_bytes || !recipe.overrides.empty();
  return recipe.kv && !weights ? "KV cache quantization" : "weight-only quantization";
}

bool takes_away(const Recipe& recipe) {
  return step_of(recipe, "structured pruning") || step_of(recipe, "pruning") || step_of(recipe, "low rank");
}

void add_origin(const RecipeFile& recipe, const Outcome& outcome, report::ModelRecord& record) {
  add_recipe(recipe, record);
  record.compress_seconds = outcome.seconds;
  for (const TensorOutcome& t : outcome.tensors)
    if (t.relative_error > 0) record.tensors.push_back({std::string(role_name(t.role)), t.layer, t.relative_error});
}

void add_origin_from_report(report::ModelRecord& record) {
  const auto path = beside(record.path, ".report.json");
  std::error_code fault;
  if (!std::filesystem::exists(path, fault)) return;
  report::ModelRecord filled = record;
  try {
    const nlohmann::json json = parse_json(read_text_file(path), path.string());
    if (json.at("output_bytes") != record.size.file_bytes)
      record.notes.push_back(path.filename().string() + " is of another file, and was not read");
    else if (json.contains("recipe_yaml"))
      read_report(json, path.string(), filled);
  } catch (const Error& e) {
    record.notes.push_back(e.what());
  } catch (const nlohmann::json::exception&) {
    record.notes.push_back(path.filename().string() + " is no report of pith, and was not read");
  }
  if (!filled.method.empty()) record = std::move(filled);
}

}  // namespace pith
