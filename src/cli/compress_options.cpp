#include "cli/compress_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "cli/command.h"
#include "cli/output_files.h"
#include "compress/prune/allocate_sparsity.h"
#include "compress/recipe_file.h"
#include "compress/target_profile.h"
#include "core/error.h"
#include "core/group.h"
#include "io/files.h"
#include "report/json.h"
#include "report/quality.h"
#include "report/text.h"

namespace pith::cli {

static std::string fault_of_container(const std::string& name) {
  try {
    (void)container_or_throw(name);
    return {};
  } catch (const Error& e) {
    return e.what();
  }
}

void add_compress_options(CLI::App& app, CompressOptions& o) {
  app.add_option("model", o.model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("-f,--format", o.format, "storage format of the linear layers (see: pith formats)");
  app.add_option("-o,--out", o.out, "the file or folder to write (default: named after model and format, here)");
  app.add_option("--to", o.to,
                 "container: gguf, or a folder with packed layers as hf (compressed-tensors), gptq, awq, bnb or mlx "
                 "store them, or "
                 "pith, which holds everything (default: what holds the format)")
      ->check(fault_of_container);
  app.add_option("--embed-format", o.embed_format, "format of embedding and head (default: at least 6 bits)");
  app.add_option("--override", o.overrides, "ROLES[@LAYERS]=FORMAT for some tensors, e.g. 'attn_v|ffn_down@0-1=q6_k'");
  std::string targets;
  for (const TargetProfile& target : all_targets())
    targets += fmt::format("{}{}", targets.empty() ? "" : ", ", target.name);
  app.add_option("--target", o.target, "check that the output is what this program loads: " + targets);
  add_activations(app, o.activations, "as the source says");
  add_kv(app, o.kv, "as the source says");
  app.add_option(
         "--store", o.store,
         "zeros of linear layers: dense (as values; any program reads it), or left out, which pith alone reads: "
         "bitmask, or two_of_four for 2:4 (default: dense)")
      ->check(CLI::IsMember({"dense", "bitmask", "two_of_four"}));
  app.add_option("--lora", o.lora, "an adapter to merge first: a PEFT folder or a GGUF adapter");
  app.add_flag("--allow-requantize", o.allow_requantize, "accept a source that is quantized already");
  app.add_flag("--dry-run", o.dry_run, "show the plan (formats, fallbacks, bytes, memory, time) and stop");
  app.add_flag("--resume", o.resume, "go on with a run that was stopped");
  app.add_flag("--overwrite", o.overwrite, "replace an existing output");
  app.add_flag("--json", o.json, "machine-readable output");
  app.add_option("--text", o.text, "then evaluate the output against the source on this text");
  app.add_option("--protocol", o.protocol, "how (see: pith eval --help)")->capture_default_str();
  app.add_option("--max-ram", o.max_ram, "refuse when more memory is predicted, e.g. 2GB");
  add_threads(app);
}

void add_method_options(CLI::App& app, CompressOptions& o) {
  app.add_option("--set", o.set, "an option of the method, NAME=VALUE, e.g. --set range=minmax");
  app.add_option("--importance", o.importance, "importance of the input features: a llama.cpp imatrix file");
  app.add_option("--calibrate", o.calibrate,
                 "text that calibrated methods see, and from which importance is measured: plain text, or .jsonl with "
                 "conversations (default, where the method needs one: the model writes its own)");
  app.add_option("--calibrate-samples", o.calibrate_samples, "pieces of the text (default: 128)");
  app.add_option("--calibrate-length", o.calibrate_length, "tokens of a piece (default: 512)");
  app.add_option("--calibrate-seed", o.calibrate_seed, "draws the pieces (default: 0)");
  app.add_flag("--true-sequential", o.true_sequential,
               "within a block, too, calibrate each matrix on the outputs of the compressed ones before it");
  app.add_flag("--no-fallback", o.no_fallback, "fail where a format does not fit a shape");
}

double percent_of(const std::string& text) {
  double value = 0;
  const std::size_t size = text.size() - (text.ends_with('%') ? 1 : 0);
  const auto [end, fault] = std::from_chars(text.data(), text.data() + size, value);
  if (fault != std::errc() || end != text.data() + size || !(value >= 0 && value < 100))
    throw input_error("ratio", "expected a percentage from 0 to below 100, got '{}'", text);
  return value;
}

static std::filesystem::path default_target(const CompressOptions& o, Container container) {
  const std::string suffix = !o.format.empty()      ? o.format
                             : !o.max_bytes.empty() ? o.max_bytes
                             : !o.prune.empty()     ? o.prune
                             : !o.recipe.empty()    ? std::filesystem::path(o.recipe).stem().string()
                                                    : std::string(container_name(container));
  return model_stem(o.model) + "-" + suffix + (container == Container::gguf ? ".gguf" : "");
}

static void take_calibration(const CompressOptions& o, Recipe& recipe) {
  if (!o.calibrate.empty() || (needs_text(recipe) && !recipe.calibration)) {
    if (!recipe.calibration) recipe.calibration.emplace();
    recipe.calibration->files.assign(o.calibrate.begin(), o.calibrate.end());
  }
  if (!recipe.calibration) return;
  if (o.true_sequential) recipe.true_sequential = true;
  if (o.calibrate_samples) recipe.calibration->samples = dim(*o.calibrate_samples);
  if (o.calibrate_length) recipe.calibration->length = dim(*o.calibrate_length);
  if (o.calibrate_seed) recipe.calibration->seed = std::uint64_t(*o.calibrate_seed);
}

// A format for all takes the place of a budget, and the other way round.
static void take_formats(const CompressOptions& o, Recipe& recipe) {
  if (!o.format.empty()) {
    recipe.format = &format_or_throw(o.format);
    recipe.max_bytes.reset();
  }
  if (!o.max_bytes.empty()) {
    recipe.max_bytes = parse_bytes(o.max_bytes);
    recipe.format = nullptr;
  }
  if (!o.embed_format.empty()) recipe.embed_format = &format_or_throw(o.embed_format);
  for (const auto& text : o.overrides) recipe.overrides.push_back(parse_override(text));
}

CompressJob make_job(const CompressOptions& o, const Model& model) {
  CompressJob job;
  Recipe& recipe = job.recipe;
  std::string container = o.to;
  if (!o.recipe.empty()) {
    RecipeFile file = open_recipe(o.recipe);
    recipe = std::move(file.recipe);
    if (container.empty()) container = file.container;
  }
  if (!o.method.empty() || recipe.steps.empty()) recipe.steps = steps_of(o.method.empty() ? "rtn" : o.method, {});
  give_options(recipe.steps, o.set);
  take_formats(o, recipe);
  settle_format(recipe, model);
  if (o.no_fallback) recipe.allow_fallback = false;
  if (o.allow_requantize) recipe.allow_requantize = true;
  if (o.dither_seed >= 0) recipe.dither = {true, std::uint64_t(o.dither_seed)};
  if (!o.importance.empty()) recipe.importance_file = o.importance;
  take_calibration(o, recipe);
  if (!o.target.empty()) recipe.target = &target_or_throw(o.target);
  if (!o.lora.empty()) recipe.adapter = o.lora;
  if (!o.allocation.empty()) recipe.sparsity.kind = sparsity_kind_or_throw(o.allocation);
  if (o.spread) recipe.sparsity.spread = *o.spread;
  if (!o.prune_max_bytes.empty()) recipe.sparsity.max_bytes = parse_bytes(o.prune_max_bytes);
  if (o.store == "dense") recipe.store.reset();
  if (o.store == "bitmask") recipe.store = SparseLayout::bitmask;
  if (o.store == "two_of_four") recipe.store = SparseLayout::two_of_four;
  if (!o.kv.empty()) recipe.kv = KvSpec(o.kv);
  if (!o.activations.empty()) recipe.activations = ActSpec(o.activations);
  if (!o.max_ram.empty()) job.limits.max_ram_bytes = parse_bytes(o.max_ram);
  job.limits.overwrite = o.overwrite;
  job.limits.resume = o.resume;
  job.limits.group = &processes();
  if (o.resume && processes().size() > 1)
    throw Error(Blame::input, "resume", fmt::format("expected one process, got {}", processes().size()),
                "one process goes on with what several began");
  job.container = choose_container(container, o.out, recipe, model);
  job.target = o.out.empty() ? default_target(o, job.container) : std::filesystem::path(o.out);
  return job;
}

// What a process that is not the first makes: blocks see the compressed ones before them, so each makes all of them.
static void compress_beside(const CompressJob& job, const Model& model) {
  const auto target = beside(job.target, fmt::format(".rank-{}", processes().rank()).c_str());
  RunLimits limits = job.limits;
  limits.overwrite = true;
  compress(model, job.recipe, job.container, target, limits);
  std::filesystem::remove_all(target);
}

void run_job(const CompressOptions& o, const CompressJob& job, const Model& model) {
  if (o.dry_run) {
    const Preflight plan = preflight(model, job.recipe, job.container, job.target, terminal_progress());
    terminal_progress().end();
    return print(o.json ? report::to_json(plan) : report::preflight_text(plan));
  }
  std::string text;
  if (!o.text.empty()) {
    protocol_or_throw(o.protocol);  // a wrong name or file is better told before the work
    text = read_text_file(o.text);
  }
  if (!processes().first()) return compress_beside(job, model);
  report::QualityReport quality{
      .model = o.model,
      .output = job.target.string(),
      .family = model.config().arch,
      .source_container = model.is_gguf() ? "gguf" : "hf",
      .container = std::string(container_name(job.container)),
      .source_bytes = model.file_bytes(),
      .recipe = job.recipe,
      .outcome = compress(model, job.recipe, job.container, job.target, job.limits, terminal_progress()),
      .evaluations = {},
      .comparisons = {}};
  if (!text.empty())
    quality.comparisons.push_back(
        compare(Model::open(job.target), model, text, {.protocol = o.protocol}, terminal_progress()));
  terminal_progress().end();
  const std::string json = report::quality_json(quality);
  write_whole(beside(job.target, ".report.json"), json);
  write_whole(beside(job.target, ".report.md"), report::quality_markdown(quality));
  if (o.json) return print(json);
  std::string out = report::outcome_text(quality.outcome);
  for (const Comparison& comparison : quality.comparisons) out += "\n" + report::comparison_text(comparison);
  print(out + fmt::format("\nwrote {} and {}\n", job.target.string(), beside(job.target, ".report.md").string()));
}

}  // namespace pith::cli
