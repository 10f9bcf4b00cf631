#include "study/sweep_file.h"

#include "compress/method.h"
#include "compress/recipe_node.h"
#include "io/files.h"
#include "study/sweep_axes.h"

namespace pith {

namespace {

class SweepReader : YamlFields {
 public:
  SweepReader(const std::string& name, std::filesystem::path folder, const SweepOverrides& overrides)
      : YamlFields(name), file_(name), folder_(std::move(folder)), given_(overrides) {}

  SweepPlan read(const YAML::Node& root) {
    plan_.out = folder_ / (std::filesystem::path(file_).stem().string() + "-results");
    YAML::Node points;
    each_of(root, "a sweep",
            {{"title", [&](const YAML::Node& n) { plan_.title = scalar(n); }},
             {"models", [&](const YAML::Node& n) { list(n, [&](const YAML::Node& m) { read_model(m); }); }},
             {"out", [&](const YAML::Node& n) { plan_.out = path(n); }},
             {"keep", [&](const YAML::Node& n) { plan_.keep = flag(n); }},
             {"measure", [&](const YAML::Node& n) { read_measure(n); }},
             {"calibrate", [&](const YAML::Node& n) { read_calibration(n, file_, folder_, defaults_); }},
             {"points", [&](const YAML::Node& n) { points = n; }}});
    take_overrides();
    if (plan_.models.empty()) throw fault(root, "expected models, got none: 'models' here, or --model");
    if (plan_.measure.text_file.empty() && plan_.measure.tasks.empty())
      throw fault(root, "expected something to measure quality on: 'text' or 'tasks' under 'measure', or --text");
    if (!points.IsDefined() || points.IsNull()) throw fault(root, "expected 'points'");
    list(points, [&](const YAML::Node& n) { read_points(n); });
    if (plan_.points.empty()) throw fault(points, "expected at least one point");
    return std::move(plan_);
  }

 private:
  std::string path(const YAML::Node& node) const { return (folder_ / scalar(node)).lexically_normal().string(); }

  std::vector<std::string> values(const YAML::Node& node) const {
    std::vector<std::string> out;
    if (node.IsSequence())
      list(node, [&](const YAML::Node& n) { out.push_back(scalar(n)); });
    else
      out.push_back(scalar(node));
    if (out.empty()) throw fault(node, "expected one value or more, got none");
    return out;
  }

  void add_model(std::string name, const std::string& path) {
    if (name.empty()) {
      const auto at = (std::filesystem::path(path) / "").parent_path();
      name = at.extension() == ".gguf" ? at.stem().string() : at.filename().string();
    }
    for (const SweepModel& other : plan_.models)
      if (file_name(other.name) == file_name(name))
        throw Error(Blame::input, file_, fmt::format("expected models of different names, two are '{}'", name),
                    "models: [{name: NAME, path: PATH}, ...]");
    plan_.models.push_back({std::move(name), path});
  }

  void read_model(const YAML::Node& node) {
    if (node.IsScalar()) return add_model("", path(node));
    std::string name, where;
    each_of(node, "a model",
            {{"name", [&](const YAML::Node& n) { name = scalar(n); }},
             {"path", [&](const YAML::Node& n) { where = path(n); }}});
    if (where.empty()) throw fault(node, "expected the model's path");
    add_model(name, where);
  }

  void read_speed(const YAML::Node& node) {
    SpeedOptions speed;
    speed.prompt = 256;
    speed.generate = 32;
    each_of(node, "speed",
            {{"prefill", [&](const YAML::Node& n) { speed.prompt = number(n, 1, 1000000); }},
             {"generate", [&](const YAML::Node& n) { speed.generate = number(n, 1, 1000000); }},
             {"runs", [&](const YAML::Node& n) { speed.runs = int(number(n, 1, 1000)); }}});
    plan_.measure.speed = speed;
  }

  void read_measure(const YAML::Node& node) {
    MeasureOptions& m = plan_.measure;
    each_of(node, "what is measured",
            {{"text", [&](const YAML::Node& n) { m.text_file = path(n); }},
             {"protocol",
              [&](const YAML::Node& n) {
                m.eval.protocol = at(n, [](const std::string& t) { return protocol_or_throw(t).name; });
              }},
             {"windows", [&](const YAML::Node& n) { m.eval.max_windows = number(n, 0, 1000000); }},
             {"fast", [&](const YAML::Node& n) { m.eval.fast = flag(n); }},
             {"speed", [&](const YAML::Node& n) { read_speed(n); }},
             {"layers", [&](const YAML::Node& n) { m.layers = flag(n); }},
             {"tasks", [&](const YAML::Node& n) { read_tasks(n); }},
             {"task_data", [&](const YAML::Node& n) { m.task_options.data = path(n); }},
             {"task_limit", [&](const YAML::Node& n) { m.task_options.limit = number(n, 0, 1000000000); }},
             {"prompts", [&](const YAML::Node& n) { m.prompts = values(n); }},
             {"sample_tokens", [&](const YAML::Node& n) { m.sample_tokens = number(n, 1, 1000000); }},
             {"seed", [&](const YAML::Node& n) { m.seed = std::uint64_t(number(n, 0, dim(1) << 53)); }}});
  }

  void read_tasks(const YAML::Node& node) {
    for (std::string& task : values(node))
      plan_.measure.tasks.push_back(task.ends_with(".jsonl") ? (folder_ / task).lexically_normal().string() : task);
  }

  void take_overrides() {
    if (!given_.models.empty()) plan_.models.clear();
    for (const std::string& path : given_.models) add_model("", path);
    if (!given_.text.empty()) plan_.measure.text_file = given_.text;
    if (!given_.out.empty()) plan_.out = given_.out;
    if (given_.windows) plan_.measure.eval.max_windows = *given_.windows;
    if (given_.calibrate.empty()) return;
    if (!defaults_.calibration) defaults_.calibration.emplace();
    defaults_.calibration->files.assign(given_.calibrate.begin(), given_.calibrate.end());
  }

  // All keys of a recipe, which every point of the group has, and the axes.
  void read_points(const YAML::Node& node) {
    SweepAxes axes;
    Recipe own = defaults_;  // of the group: what it says of the calibration goes over the sweep's
    bool calibrated = false;
    const Keys keys = {{"name", [&](const YAML::Node& n) { axes.name = scalar(n); }},
                       {"recipe", [&](const YAML::Node& n) { axes.recipe = scalar(n); }},
                       {"methods", [&](const YAML::Node& n) { axes.methods = values(n); }},
                       {"formats", [&](const YAML::Node& n) { axes.formats = values(n); }},
                       {"max_bytes", [&](const YAML::Node& n) { axes.budgets = values(n); }},
                       {"options",
                        [&](const YAML::Node& n) {
                          if (!n.IsMap()) throw fault(n, "expected options: names and values");
                          for (const auto& entry : n)
                            axes.options.emplace_back(scalar(entry.first), values(entry.second));
                        }},
                       {"calibrate", [&](const YAML::Node& n) {
                          read_calibration(n, file_, folder_, own);
                          calibrated = true;
                        }}};
    RecipeFile rest = recipe_of_node(node, file_, folder_, keys);
    if (!axes.recipe.empty()) rest = named_recipe(node, axes);
    try {
      for (SweepPoint& point : points_of(axes, rest)) add_point(std::move(point), own, calibrated);
    } catch (const Error& e) {
      throw fault(node, e.what());
    }
  }

  RecipeFile named_recipe(const YAML::Node& node, const SweepAxes& axes) const {
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      if (key != "name" && key != "recipe" && key != "formats" && key != "max_bytes" && key != "calibrate")
        throw fault(
            entry.first,
            "expected a recipe by name, with name, formats, max_bytes and calibrate beside it, got '" + key + "'");
    }
    const bool file =
        axes.recipe.find('/') != std::string::npos || axes.recipe.ends_with(".yaml") || axes.recipe.ends_with(".yml");
    return open_recipe(file ? (folder_ / axes.recipe).string() : axes.recipe);
  }

  void add_point(SweepPoint point, const Recipe& own, bool calibrated) {
    Recipe& recipe = point.recipe.recipe;
    for (const Step& step : recipe.steps) {
      const Method& method = method_or_throw(step.method);
      Options(method.name, method.options, step.options);  // a wrong one is better told before the work
    }
    if (calibrated || (needs_text(recipe) && !recipe.calibration)) {
      recipe.calibration = own.calibration;
      recipe.true_sequential = own.true_sequential;
    }
    if (needs_text(recipe) && !recipe.calibration) recipe.calibration.emplace();
    for (const SweepPoint& other : plan_.points)
      if (file_name(other.name) == file_name(point.name))
        throw Error(Blame::input, "points", fmt::format("expected points of different names, two are '{}'", point.name),
                    "give one group a 'name'");
    plan_.points.push_back(std::move(point));
  }

  std::string file_;
  std::filesystem::path folder_;
  const SweepOverrides& given_;
  Recipe defaults_;  // the calibration alone
  SweepPlan plan_;
};

}  // namespace

std::string file_name(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("+-_=.").find(c) < 5;
    out += plain ? c : '-';
  }
  return out.starts_with('.') ? "-" + out : out;
}

SweepPlan parse_sweep(const std::string& yaml, const std::string& name, const std::filesystem::path& folder,
                      const SweepOverrides& overrides) {
  try {
    return SweepReader(name, folder, overrides).read(YAML::Load(yaml));
  } catch (const YAML::Exception& e) {  // not YAML
    throw Error(Blame::input, name, e.what());
  }
}

SweepPlan read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides) {
  return parse_sweep(read_text_file(file), file.string(), file.parent_path(), overrides);
}

}  // namespace pith
