#include "cli/compress_options.h"

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "core/error.h"

namespace pith::cli {

void add_compress_options(CLI::App& app, CompressOptions& o) {
  app.add_option("model", o.model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("-f,--format", o.format, "storage format of the linear layers (see: pith formats)")->required();
  app.add_option("-o,--out", o.out, "the file or folder to write (default: named after model and format, here)");
  app.add_option("--to", o.to, "container: gguf or hf (default: what holds the format)")
      ->check(CLI::IsMember({"gguf", "hf"}));
  app.add_option("--embed-format", o.embed_format, "format of embedding and head (default: at least 6 bits)");
  app.add_option("--override", o.overrides, "ROLES[@LAYERS]=FORMAT for some tensors, e.g. 'attn_v|ffn_down@0-1=q6_k'");
  app.add_flag("--dry-run", o.dry_run, "show the plan (formats, fallbacks, bytes, memory, time) and stop");
  app.add_flag("--resume", o.resume, "go on with a run that was stopped");
  app.add_flag("--overwrite", o.overwrite, "replace an existing output");
  app.add_flag("--json", o.json, "machine-readable output");
  app.add_option("--max-ram", o.max_ram, "refuse when more memory is predicted, e.g. 2GB");
  add_threads(app);
}

static Container choose_container(const CompressOptions& o, const Format& format, const Model& model) {
  if (o.to == "gguf") return Container::gguf;
  if (o.to == "hf") return Container::hf;
  if (format.int_group.bits) return Container::hf;
  const bool dense = format.block == 1;
  return dense && !model.is_gguf() ? Container::hf : Container::gguf;
}

static std::filesystem::path default_target(const CompressOptions& o, Container container) {
  const auto source = std::filesystem::path(o.model).lexically_normal();
  std::string name = source.filename().empty() ? source.parent_path().filename().string() : source.filename().string();
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name + "-" + o.format + (container == Container::gguf ? ".gguf" : "");
}

CompressJob make_job(const CompressOptions& o, const Model& model) {
  CompressJob job;
  Recipe& recipe = job.recipe;
  recipe.method = o.method;
  recipe.method_options = o.set;
  recipe.format = &format_or_throw(o.format);
  if (!o.embed_format.empty()) recipe.embed_format = &format_or_throw(o.embed_format);
  for (const auto& text : o.overrides) recipe.overrides.push_back(parse_override(text));
  recipe.allow_fallback = !o.no_fallback;
  recipe.allow_requantize = o.allow_requantize;
  if (o.dither_seed >= 0) recipe.dither = {true, std::uint64_t(o.dither_seed)};
  if (!o.importance.empty()) recipe.importance_file = o.importance;
  if (!o.max_ram.empty()) job.limits.max_ram_bytes = parse_bytes(o.max_ram);
  job.limits.overwrite = o.overwrite;
  job.limits.resume = o.resume;
  job.container = choose_container(o, *recipe.format, model);
  job.target = o.out.empty() ? default_target(o, job.container) : std::filesystem::path(o.out);
  return job;
}

}  // namespace pith::cli
