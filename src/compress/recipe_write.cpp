#include <yaml-cpp/yaml.h>

#include "compress/prune/allocate_sparsity.h"
#include "compress/recipe_file.h"
#include "compress/target_profile.h"

namespace pith {

namespace {

void write_step(YAML::Emitter& out, const Step& step) {
  out << YAML::BeginMap << YAML::Key << "method" << YAML::Value << step.method;
  if (!step.options.empty()) {
    out << YAML::Key << "options" << YAML::Value << YAML::BeginMap;
    for (const std::string& option : step.options) {
      const std::size_t at = option.find('=');
      out << YAML::Key << option.substr(0, at) << YAML::Value << option.substr(at + 1);
    }
    out << YAML::EndMap;
  }
  if (!step.where.all()) out << YAML::Key << "where" << YAML::Value << selection_text(step.where);
  out << YAML::EndMap;
}

void write_format(YAML::Emitter& out, const Format& format, const Selection& where) {
  out << YAML::BeginMap;
  if (!where.all()) out << YAML::Key << "where" << YAML::Value << selection_text(where);
  out << YAML::Key << "format" << YAML::Value << std::string(format.name) << YAML::EndMap;
}

void write_calibration(YAML::Emitter& out, const Recipe& recipe) {
  const CalibrationChoice& c = *recipe.calibration;
  out << YAML::Key << "calibrate" << YAML::Value << YAML::BeginMap;
  if (!c.files.empty()) {
    out << YAML::Key << "files" << YAML::Value << YAML::BeginSeq;
    for (const auto& file : c.files) out << std::filesystem::absolute(file).lexically_normal().string();
    out << YAML::EndSeq;
  }
  out << YAML::Key << "samples" << YAML::Value << c.samples << YAML::Key << "length" << YAML::Value << c.length
      << YAML::Key << "seed" << YAML::Value << c.seed;
  if (recipe.true_sequential) out << YAML::Key << "true_sequential" << YAML::Value << true;
  out << YAML::EndMap;
}

void write_sparsity(YAML::Emitter& out, const SparsityPlan& plan) {
  if (plan.kind == SparsityPlan().kind && !plan.max_bytes) return;
  out << YAML::Key << "sparsity" << YAML::Value << YAML::BeginMap << YAML::Key << "allocation" << YAML::Value
      << std::string(sparsity_kind_name(plan.kind)) << YAML::Key << "spread" << YAML::Value << plan.spread;
  if (plan.max_bytes) out << YAML::Key << "max_bytes" << YAML::Value << *plan.max_bytes;
  out << YAML::EndMap;
}

}  // namespace

std::string recipe_yaml(const RecipeFile& file) {
  const Recipe& r = file.recipe;
  YAML::Emitter out;
  out << YAML::BeginMap;
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) out << YAML::Key << key << YAML::Value << value;
  };
  text("summary", file.summary);
  if (!r.steps.empty() || r.format || !r.overrides.empty()) {
    out << YAML::Key << "steps" << YAML::Value << YAML::BeginSeq;
    for (const Step& step : r.steps) write_step(out, step);
    if (r.format) write_format(out, *r.format, {});
    for (const Override& o : r.overrides) write_format(out, *o.format, o.where);
    out << YAML::EndSeq;
  }
  if (r.embed_format) text("embed_format", std::string(r.embed_format->name));
  if (r.max_bytes) out << YAML::Key << "max_bytes" << YAML::Value << *r.max_bytes;
  if (r.calibration) write_calibration(out, r);
  if (r.importance_file) text("importance", std::filesystem::absolute(*r.importance_file).string());
  if (r.kv) text("kv", r.kv->text());
  if (r.activations) text("activations", r.activations->text());
  if (r.adapter) text("lora", std::filesystem::absolute(*r.adapter).string());
  if (r.target) text("target", std::string(r.target->name));
  text("to", file.container);
  if (r.store) text("store", *r.store == SparseLayout::bitmask ? "bitmask" : "two_of_four");
  write_sparsity(out, r.sparsity);
  if (!r.allow_fallback) out << YAML::Key << "fallback" << YAML::Value << false;
  if (r.allow_requantize) out << YAML::Key << "allow_requantize" << YAML::Value << true;
  if (r.dither.on) out << YAML::Key << "dither" << YAML::Value << r.dither.seed;
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace pith
