#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "io/files.h"
#include "report/study/pages.h"
#include "report/study/tables.h"
#include "study/measure.h"
#include "study/origin.h"

namespace pith::cli {

namespace {

struct CompareArguments {
  std::vector<std::string> models;
  std::string base, kv, activations, protocol = "llamacpp-512", form = "text", title, html, card, card_base;
  MeasureOptions measure;
  SpeedOptions speed;
  bool no_speed = false, no_layers = false, json = false;
};

// A name that two models have is told apart by the folder it lies in.
void tell_apart(report::Study& study) {
  for (report::ModelRecord& m : study.models) {
    const auto same = [&](const report::ModelRecord* other) { return other != &m && other->name == m.name; };
    const auto all = report::all_of(study);
    if (std::none_of(all.begin(), all.end(), same)) continue;
    m.name = std::filesystem::path(m.path).lexically_normal().string();
  }
}

report::Study measured(CompareArguments& a) {
  MeasureOptions& o = a.measure;
  o.eval.protocol = a.protocol;
  if (!a.kv.empty()) o.eval.kv = KvSpec(a.kv);
  if (!a.activations.empty()) o.eval.activations = ActSpec(a.activations);
  if (!a.no_speed) {
    a.speed.kv = o.eval.kv;
    a.speed.activations = o.eval.activations;
    o.speed = a.speed;
  }
  o.layers = !a.no_layers;
  const Measurer measurer(o, a.base);
  report::Study study = measurer.empty_study();
  study.title = a.title.empty() ? "Models compared" : a.title;
  study.conditions = measurer.conditions(a.base.empty() ? a.models[0] : a.base);
  if (measurer.has_base()) study.base = measurer.base(terminal_progress());
  for (const std::string& path : a.models) {
    study.models.push_back(measurer.measure(path, terminal_progress()));
    add_origin_from_report(study.models.back());
  }
  terminal_progress().end();
  tell_apart(study);
  return study;
}

void add_measure_options(CLI::App& app, CompareArguments& a) {
  MeasureOptions& o = a.measure;
  app.add_option("--text", o.text_file, "the text to predict, UTF-8; without it quality is not measured");
  std::string names;
  for (const Protocol& p : all_protocols()) names += (names.empty() ? "" : ", ") + std::string(p.name);
  app.add_option("--protocol", a.protocol, "how windows are cut and what counts: " + names)->capture_default_str();
  app.add_option("--windows", o.eval.max_windows, "only the first N windows (0: all)")->check(CLI::NonNegativeNumber);
  app.add_flag("--fast", o.eval.fast, "quality, too, with the products of `pith generate` (see: pith eval --help)");
  add_kv(app, a.kv, "as each model says");
  add_activations(app, a.activations, "as each model says");
  app.add_flag("--no-speed", a.no_speed, "do not measure speed");
  app.add_option("-p,--prefill", a.speed.prompt, "tokens of prefill")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("-n,--generate", a.speed.generate, "tokens of decode")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("-r,--runs", a.speed.runs, "runs of each")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_flag("--no-layers", a.no_layers, "no profiles of layers, no histograms");
  app.add_option("--tasks", o.tasks, "tasks and .jsonl files, separated by commas (see: pith eval --help)")
      ->delimiter(',');
  app.add_option("--task-data", o.task_options.data, "the folder with the tasks' files (else $PITH_DATA/tasks)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--limit", o.task_options.limit, "only the first N items of a task (0: all)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--prompt", o.prompts, "each model goes on from it, greedily; may be given several times");
  app.add_option("--sample-tokens", o.sample_tokens, "tokens of each answer")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", o.seed, "of the bootstrap")->capture_default_str();
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<CompareArguments>();
  a->speed.prompt = 256;
  a->speed.generate = 32;
  app.add_option("models", a->models, "Hugging Face folders or .gguf files")->required();
  app.add_option("-b,--base", a->base, "the original: divergence from it, and ratios to it (default: to the first)");
  add_measure_options(app, *a);
  app.add_option("--title", a->title, "of the report");
  app.add_option("-f,--format", a->form, "text, csv, latex or markdown")->capture_default_str();
  app.add_option("--html", a->html, "also write a page with charts, one file that needs nothing else");
  app.add_option("--card", a->card, "also write the README.md of a folder with these models, for Hugging Face");
  app.add_option("--card-base", a->card_base, "the original's name there, e.g. HuggingFaceTB/SmolLM2-135M-Instruct");
  app.add_flag("--json", a->json, "machine-readable output, with windows and tests");
  add_threads(app);
  app.callback([a] {
    const report::TextForm form = report::text_form_or_throw(a->form);  // before any work
    const report::Study study = measured(*a);
    if (!a->html.empty()) write_whole(a->html, report::study_page(std::span(&study, 1), false));
    if (!a->card.empty()) write_whole(a->card, report::model_card(study, a->card_base));
    print(a->json ? report::study_json(study) : report::study_report(study, form));
  });
}

}  // namespace

extern const Command compare_command;
const Command compare_command = {
    "compare", "several models side by side under one protocol: quality, size, speed, and whether they differ",
    "  pith compare q4.gguf q5.gguf q8.gguf --base original/ --text wikitext2.test.raw --windows 16\n"
    "  pith compare a.gguf b.gguf --text text.txt --no-speed --json\n"
    "  pith compare q4.gguf q8.gguf --base original/ --text text.txt --html report.html --prompt 'Once upon a time'\n"
    "  pith compare q4.gguf q5.gguf --base original/ --text text.txt --format latex > table.tex\n"
    "  pith compare out/q4.gguf --base original/ --text text.txt --tasks piqa --limit 200 --card out/README.md",
    set_up};

}  // namespace pith::cli
