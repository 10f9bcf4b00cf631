#include "report/quality.h"

#include <fmt/format.h>

#include "compress/prune/allocate_sparsity.h"
#include "compress/recipe_file.h"
#include "report/human.h"
#include "report/json_values.h"
#include "report/sizes.h"
#include "report/text.h"

namespace pith::report {
namespace {

std::string name_of(const Format* format, std::string_view otherwise) {
  return std::string(format ? format->name : otherwise);
}

double compression_ratio(const QualityReport& report) {
  return report.outcome.output_bytes > 0 ? double(report.source_bytes) / double(report.outcome.output_bytes) : 0;
}

std::vector<std::string> override_texts(const Recipe& recipe) {
  std::vector<std::string> texts;
  for (const Override& o : recipe.overrides) texts.push_back(override_text(o));
  return texts;
}

std::string or_none(const std::vector<std::string>& texts) {
  return texts.empty() ? std::string("none") : fmt::format("{}", fmt::join(texts, " "));
}

std::vector<std::string> file_names(const CalibrationChoice& c) {
  std::vector<std::string> names;
  for (const auto& file : c.files) names.push_back(file.filename().string());
  return names;
}

std::string calibration_text(const CalibrationChoice& c) {
  const std::string from = c.files.empty() ? "written by the model" : fmt::format("{}", fmt::join(file_names(c), ", "));
  return fmt::format("{}: {} samples of {} tokens, seed {}", from, c.samples, c.length, c.seed);
}

// With the method's name before each where there are several.
std::vector<std::string> options_given(const Recipe& recipe) {
  std::vector<std::string> out;
  for (const Step& step : recipe.steps)
    for (const std::string& option : step.options)
      out.push_back(recipe.steps.size() > 1 ? step.method + ": " + option : option);
  return out;
}

Facts recipe_facts(const Recipe& recipe) {
  Facts facts;
  facts.emplace_back("method", steps_text(recipe));
  facts.emplace_back("options given", or_none(options_given(recipe)));
  facts.emplace_back("format", name_of(recipe.format, "as the source, on the same grid"));
  facts.emplace_back("format of embedding and head", name_of(recipe.embed_format, "chosen by the format"));
  facts.emplace_back("overrides", or_none(override_texts(recipe)));
  facts.emplace_back("importance", recipe.importance_file ? recipe.importance_file->filename().string() : "none");
  if (recipe.max_bytes) facts.emplace_back("budget", fmt::format("{} bytes", *recipe.max_bytes));
  if (recipe.calibration) facts.emplace_back("calibration", calibration_text(*recipe.calibration));
  if (recipe.true_sequential) facts.emplace_back("true-sequential", "yes");
  if (recipe.activations) facts.emplace_back("activations", recipe.activations->text());
  if (recipe.sparsity.kind != SparsityPlan::Kind::uniform)
    facts.emplace_back("sparsity of layers", std::string(sparsity_kind_name(recipe.sparsity.kind)));
  if (recipe.store)
    facts.emplace_back("zeros", *recipe.store == SparseLayout::bitmask ? "left out, bitmask" : "left out, two of four");
  if (recipe.kv) facts.emplace_back("keys and values", recipe.kv->text());
  if (recipe.adapter) facts.emplace_back("merged adapter", recipe.adapter->filename().string());
  if (recipe.dither.on) facts.emplace_back("dither", fmt::format("seed {}", recipe.dither.seed));
  return facts;
}

std::string share_text(const Share& share) {
  return fmt::format("{:.3f} (was {:.3f}; {} parameters in {} tensor{})", share.bits_after(), share.bits_before(),
                     human_count(share.parameters), share.tensors, share.tensors == 1 ? "" : "s");
}

Facts size_facts(const QualityReport& report) {
  const Sizes sizes = sizes_of(report.outcome);
  Facts facts;
  facts.emplace_back("source",
                     fmt::format("{} ({} bytes)", human_bytes(report.source_bytes), human_count(report.source_bytes)));
  facts.emplace_back("output", fmt::format("{} ({} bytes)", human_bytes(report.outcome.output_bytes),
                                           human_count(report.outcome.output_bytes)));
  if (const Zeros zeros = zeros_of(report.outcome); zeros.values > 0)
    facts.emplace_back("zeros in pruned layers", fmt::format("{:.4f} % ({} of {})", zeros.percent(),
                                                             human_count(zeros.zeros), human_count(zeros.values)));
  facts.emplace_back("compression ratio", fmt::format("{:.3f}", compression_ratio(report)));
  facts.emplace_back("bits per weight, linears", share_text(sizes.linears));
  facts.emplace_back("bits per weight, embedding and head", share_text(sizes.embeddings));
  facts.emplace_back("bits per weight, whole model", share_text(sizes.all));
  return facts;
}

Facts run_facts(const QualityReport& report) {
  const Outcome& outcome = report.outcome;
  Facts facts;
  facts.emplace_back("time", fmt::format("{} (predicted {})", human_seconds(outcome.seconds),
                                         human_seconds(outcome.preflight.seconds)));
  facts.emplace_back("peak memory", fmt::format("{} (predicted {})", human_bytes(outcome.peak_ram_bytes),
                                                human_bytes(outcome.preflight.peak_ram_bytes)));
  facts.emplace_back("XXH3 of the source", outcome.source_hash);
  facts.emplace_back("sha256 of the output", outcome.output_hash);
  facts.emplace_back("program", "pith " PITH_VERSION);
  return facts;
}

std::string fallbacks_markdown(const Preflight& preflight) {
  Table table;
  table.columns = {{"tensor", false}, {"shape", true}, {"wanted", false}, {"stored as", false}, {"why", false}};
  for (const TensorPlan& t : preflight.tensors)
    if (t.wanted && t.wanted != t.to)
      table.rows.push_back({t.name, fmt::format("{} x {}", t.rows, t.cols), std::string(t.wanted->name),
                            name_of(t.to, "left out"), t.why});
  return table.rows.empty() ? "None.\n" : markdown_table(table);
}

std::string evaluations_markdown(const QualityReport& report) {
  std::string out;
  for (const Comparison& c : report.comparisons) {
    Facts facts = eval_facts(c.model);
    const EvalResult& base = c.divergence.base;
    facts.emplace_back("perplexity of the source", plus_minus(base.perplexity.mean, base.perplexity.half_width, 4));
    for (auto& fact : divergence_facts(c.divergence)) facts.push_back(std::move(fact));
    out += fmt::format("### {}, against the source\n\n{}\n", c.model.protocol, markdown_facts(facts));
  }
  for (const EvalResult& e : report.evaluations)
    out += fmt::format("### {}\n\n{}\n", e.protocol, markdown_facts(eval_facts(e)));
  if (out.empty()) return "Not measured.\n\n";
  return out + "Intervals hold 95 %, with windows as clusters.\n\n";
}

Json calibration_json(const CalibrationChoice& c) {
  return {{"files", file_names(c)}, {"samples", c.samples}, {"length", c.length}, {"seed", c.seed}};
}

Json json_of_recipe(const Recipe& recipe) {
  return {
      {"method", steps_text(recipe)},
      {"options", options_given(recipe)},
      {"format", recipe.format ? Json(recipe.format->name) : Json(nullptr)},
      {"activations", recipe.activations ? Json(recipe.activations->text()) : Json(nullptr)},
      {"kv", recipe.kv ? Json(recipe.kv->text()) : Json(nullptr)},
      {"adapter", recipe.adapter ? Json(recipe.adapter->filename().string()) : Json(nullptr)},
      {"embed_format", recipe.embed_format ? Json(recipe.embed_format->name) : Json(nullptr)},
      {"overrides", override_texts(recipe)},
      {"allow_fallback", recipe.allow_fallback},
      {"allow_requantize", recipe.allow_requantize},
      {"dither_seed", recipe.dither.on ? Json(recipe.dither.seed) : Json(nullptr)},
      {"importance_file", recipe.importance_file ? Json(recipe.importance_file->filename().string()) : Json(nullptr)},
      {"sparsity_allocation", sparsity_kind_name(recipe.sparsity.kind)},
      {"store", !recipe.store                            ? "dense"
                : *recipe.store == SparseLayout::bitmask ? "bitmask"
                                                         : "two_of_four"},
      {"max_bytes", recipe.max_bytes ? Json(*recipe.max_bytes) : Json(nullptr)},
      {"compressed_prefix", recipe.compressed_prefix},
      {"true_sequential", recipe.true_sequential},
      {"calibration", recipe.calibration ? calibration_json(*recipe.calibration) : Json(nullptr)}};
}

}  // namespace

std::string quality_markdown(const QualityReport& report) {
  const Table layers = layer_errors(report.outcome);
  std::string out = fmt::format("# {}\n\n{} ({}, {}) compressed to {}.\n\n", report.output, report.model, report.family,
                                report.source_container, report.container);
  out += "## Size\n\n" + markdown_facts(size_facts(report));
  out += "\n## Quality\n\n" + evaluations_markdown(report);
  out += "## Recipe\n\n" + markdown_facts(recipe_facts(report.recipe));
  out += "\n## Fallbacks\n\n" + fallbacks_markdown(report.outcome.preflight);
  out += "\n## Errors of the weights\n\nRelative error |w - w'| / |w|, and the ratio of signal to noise.\n\n" +
         markdown_table(role_errors(report.outcome));
  if (!layers.rows.empty()) out += '\n' + markdown_table(layers);
  if (const Table experts = expert_tokens(report.outcome); !experts.rows.empty())
    out += "\n## Calibration tokens of experts\n\n" + markdown_table(experts);
  for (const std::string& note : report.outcome.preflight.notes) out += fmt::format("\nNote: {}.\n", note);
  out += "\n## Run\n\n" + markdown_facts(run_facts(report));
  return out;
}

std::string quality_json(const QualityReport& report) {
  const Sizes sizes = sizes_of(report.outcome);
  Json evaluations = Json::array(), comparisons = Json::array();
  for (const EvalResult& e : report.evaluations) evaluations.push_back(json_of(e));
  for (const Comparison& c : report.comparisons) comparisons.push_back(json_of(c));
  return text_of({{"program", "pith " PITH_VERSION},
                  {"model", report.model},
                  {"output", report.output},
                  {"family", report.family},
                  {"source_container", report.source_container},
                  {"container", report.container},
                  {"source_bytes", report.source_bytes},
                  {"output_bytes", report.outcome.output_bytes},
                  {"compression_ratio", compression_ratio(report)},
                  {"bits_per_weight_linears", sizes.linears.bits_after()},
                  {"bits_per_weight", sizes.all.bits_after()},
                  {"recipe", json_of_recipe(report.recipe)},
                  {"recipe_yaml", recipe_yaml({{}, {}, report.recipe, report.container})},
                  {"evaluations", std::move(evaluations)},
                  {"comparisons", std::move(comparisons)},
                  {"outcome", json_of(report.outcome)}});
}

}  // namespace pith::report
