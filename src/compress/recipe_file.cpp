#include "compress/recipe_file.h"

#include "compress/method.h"
#include "compress/prune/allocate_sparsity.h"
#include "compress/recipe_node.h"
#include "compress/target_profile.h"
#include "core/byte_size.h"
#include "io/files.h"

namespace pith {

namespace {

class Reader : YamlFields {
 public:
  Reader(std::string_view name, const std::filesystem::path& folder) : YamlFields(name), name_(name), folder_(folder) {}

  RecipeFile read(const YAML::Node& root, const Keys& others) {
    out_.name = name_;
    Keys keys = others;
    keys.merge(recipe_keys());
    each_of(root, "a recipe", keys);
    if (out_.recipe.max_bytes && out_.recipe.format)
      throw fault(root, "expected either a format for all linears or max_bytes, both are given");
    return std::move(out_);
  }

  void read_calibration(const YAML::Node& node, Recipe& recipe) const {
    CalibrationChoice choice = recipe.calibration.value_or(CalibrationChoice());
    each_of(node, "calibration",
            {{"files",
              [&](const YAML::Node& n) {
                choice.files.clear();
                list(n, [&](const auto& f) { choice.files.push_back(path(f)); });
              }},
             {"samples", [&](const YAML::Node& n) { choice.samples = number(n, 1, 1000000); }},
             {"length", [&](const YAML::Node& n) { choice.length = number(n, 1, 1000000); }},
             {"true_sequential", [&](const YAML::Node& n) { recipe.true_sequential = flag(n); }},
             {"seed", [&](const YAML::Node& n) { choice.seed = std::uint64_t(number(n, 0, dim(1) << 53)); }}});
    recipe.calibration = std::move(choice);
  }

 private:
  std::filesystem::path path(const YAML::Node& node) const { return folder_ / scalar(node); }

  const Format& format(const YAML::Node& node) const {
    return *at(node, [](const std::string& text) { return &format_or_throw(text); });
  }

  void read_options(const YAML::Node& node, Step& step) const {
    if (!node.IsMap()) throw fault(node, "expected options: names and values");
    for (const auto& entry : node) step.options.push_back(scalar(entry.first) + "=" + scalar(entry.second));
  }

  // A method with its options, a format, or both, for what `where` selects.
  void read_step(const YAML::Node& node) {
    Step step;
    const Format* to = nullptr;
    each_of(node, "a step",
            {{"method", [&](const YAML::Node& n) { step.method = scalar(n); }},
             {"options", [&](const YAML::Node& n) { read_options(n, step); }},
             {"where", [&](const YAML::Node& n) { step.where = at(n, parse_selection); }},
             {"format", [&](const YAML::Node& n) { to = &format(n); }}});
    if (step.method.empty() && !to) throw fault(node, "expected a method, a format, or both");
    if (step.method.empty() && !step.options.empty()) throw fault(node, "expected a method that has these options");
    if (to && step.where.all()) out_.recipe.format = to;
    if (to && !step.where.all()) out_.recipe.overrides.push_back({step.where, to});
    if (step.method.empty()) return;
    try {
      const Method& method = method_or_throw(step.method);
      Options(method.name, method.options, step.options);
    } catch (const Error& e) {
      throw fault(node, e.what());
    }
    out_.recipe.steps.push_back(std::move(step));
  }

  void read_sparsity(const YAML::Node& node) {
    SparsityPlan& plan = out_.recipe.sparsity;
    each_of(node, "sparsity",
            {{"allocation", [&](const YAML::Node& n) { plan.kind = at(n, sparsity_kind_or_throw); }},
             {"spread", [&](const YAML::Node& n) { plan.spread = double(number(n, 0, 100)); }},
             {"max_bytes", [&](const YAML::Node& n) { plan.max_bytes = at(n, parse_bytes); }}});
  }

  Keys recipe_keys() {
    Recipe& r = out_.recipe;
    return {{"summary", [&](const YAML::Node& n) { out_.summary = scalar(n); }},
            {"steps", [&](const YAML::Node& n) { list(n, [&](const YAML::Node& step) { read_step(step); }); }},
            {"embed_format", [&](const YAML::Node& n) { r.embed_format = &format(n); }},
            {"max_bytes", [&](const YAML::Node& n) { r.max_bytes = at(n, parse_bytes); }},
            {"calibrate", [&](const YAML::Node& n) { read_calibration(n, r); }},
            {"importance", [&](const YAML::Node& n) { r.importance_file = path(n); }},
            {"kv", [&](const YAML::Node& n) { r.kv = at(n, [](const std::string& t) { return KvSpec(t); }); }},
            {"activations",
             [&](const YAML::Node& n) { r.activations = at(n, [](const std::string& t) { return ActSpec(t); }); }},
            {"lora", [&](const YAML::Node& n) { r.adapter = path(n); }},
            {"target",
             [&](const YAML::Node& n) { r.target = at(n, [](const std::string& t) { return &target_or_throw(t); }); }},
            {"to",
             [&](const YAML::Node& n) {
               out_.container =
                   at(n, [](const std::string& t) { return std::string(container_name(container_or_throw(t))); });
             }},
            {"store",
             [&](const YAML::Node& n) {
               const std::string layout = scalar(n);
               if (layout != "dense" && layout != "bitmask" && layout != "two_of_four")
                 throw fault(n, "expected dense, bitmask or two_of_four");
               if (layout != "dense") r.store = layout == "bitmask" ? SparseLayout::bitmask : SparseLayout::two_of_four;
             }},
            {"sparsity", [&](const YAML::Node& n) { read_sparsity(n); }},
            {"fallback", [&](const YAML::Node& n) { r.allow_fallback = flag(n); }},
            {"allow_requantize", [&](const YAML::Node& n) { r.allow_requantize = flag(n); }},
            {"dither", [&](const YAML::Node& n) {
               r.dither = {true, std::uint64_t(number(n, 0, dim(1) << 53))};
             }}};
  }

  std::string name_;
  const std::filesystem::path& folder_;
  RecipeFile out_;
};

}  // namespace

RecipeFile recipe_of_node(const YAML::Node& map, std::string_view file, const std::filesystem::path& folder,
                          const YamlFields::Keys& others) {
  return Reader(file, folder).read(map, others);
}

void read_calibration(const YAML::Node& map, std::string_view file, const std::filesystem::path& folder,
                      Recipe& recipe) {
  Reader(file, folder).read_calibration(map, recipe);
}

RecipeFile parse_recipe(const std::string& yaml, std::string_view name, const std::filesystem::path& folder) {
  try {
    return recipe_of_node(YAML::Load(yaml), name, folder, {});
  } catch (const YAML::Exception& e) {  // not YAML
    throw Error(Blame::input, name, e.what());
  }
}

const Preset& preset_or_throw(std::string_view name) {
  std::string names;
  for (const Preset& preset : all_presets()) {
    if (preset.name == name) return preset;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", preset.name);
  }
  throw Error(Blame::input, "recipe", fmt::format("expected one of {}, or a file, got '{}'", names, name),
              "the name of a file has a slash in it or ends in .yaml");
}

RecipeFile open_recipe(const std::string& name_or_path) {
  const std::filesystem::path path = name_or_path;
  if (name_or_path.find('/') != std::string::npos || path.extension() == ".yaml" || path.extension() == ".yml")
    return parse_recipe(read_text_file(path), name_or_path, path.parent_path());
  return parse_recipe(std::string(preset_or_throw(name_or_path).yaml), name_or_path, {});
}

}  // namespace pith
