#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/eval/fidelity.h"
#include "cli/eval/tasks.h"
#include "core/error.h"
#include "eval/kept_base.h"
#include "eval/perplexity.h"
#include "eval/text.h"
#include "io/files.h"
#include "report/human.h"
#include "report/json.h"
#include "report/text.h"

namespace pith::cli {

namespace {

struct EvalArguments {
  std::vector<std::string> models;
  std::string against, text, protocol = "llamacpp-512", kv, activations;
  WindowOptions windows;
  bool fast = false, json = false;
  TaskArguments tasks;
  FidelityArguments fidelity;
};

// One evaluated model: alone, or with its divergence from the base.
struct Row {
  std::string path;
  dim file_bytes = 0;
  EvalResult result;
  std::optional<Divergence> divergence;
  std::optional<report::FidelityReport> fidelity;
};

struct Rows {
  std::vector<Row> models;
  dim base_bytes = 0;
};

// Plain text as it is; of a .jsonl file the "text" of its lines, joined as the protocol says.
std::string read_text(const EvalArguments& a) {
  std::string text = read_text_file(a.text);
  if (!a.text.ends_with(".jsonl")) return text;
  const Protocol& protocol = protocol_or_throw(a.protocol);
  return join_documents(text, a.text, protocol.document_separator, protocol.documents);
}

Rows run(const EvalArguments& a) {
  const std::string text = read_text(a);
  EvalOptions options;
  options.protocol = a.protocol;
  options.context = a.windows.context;
  options.stride = a.windows.stride;
  options.max_windows = a.windows.max_windows;
  options.fast = a.fast;
  if (!a.kv.empty()) options.kv = KvSpec(a.kv);
  if (!a.activations.empty()) options.activations = ActSpec(a.activations);
  std::optional<Model> base;
  if (!a.against.empty()) base = Model::open(a.against);
  Rows rows;
  if (base) rows.base_bytes = base->file_bytes();
  KeptBase base_logits;
  for (const auto& path : a.models) {
    const Model model = Model::open(path);
    Row row{path, model.file_bytes(), {}, {}, {}};
    if (base) {
      Comparison comparison =
          compare(model, *base, text, options, terminal_progress(), a.models.size() > 1 ? &base_logits : nullptr);
      row.result = std::move(comparison.model);
      row.divergence = std::move(comparison.divergence);
      if (a.fidelity.wanted) row.fidelity = measure_fidelity(model, *base, text, options, a.fidelity);
    } else {
      row.result = evaluate(model, text, options, terminal_progress());
    }
    rows.models.push_back(std::move(row));
  }
  return rows;
}

std::string as_json(const EvalArguments& a, const Rows& rows) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const Row& row : rows.models) {
    nlohmann::ordered_json item = {{"model", row.path}, {"file_bytes", row.file_bytes}, {"text", a.text}};
    if (row.divergence) item["against"] = a.against;
    item.update(nlohmann::ordered_json::parse(row.divergence ? report::to_json(Comparison{row.result, *row.divergence})
                                                             : report::to_json(row.result)));
    if (row.fidelity) item["fidelity"] = report::json_of(*row.fidelity);
    out.push_back(item);
  }
  return out.dump(2) + "\n";
}

std::string share(const Interval& i) { return report::plus_minus(100 * i.mean, 100 * i.half_width, 2); }

// Several models side by side; the base, where there is one, is the first row.
std::string as_table(const EvalArguments& a, const Rows& rows) {
  const Row& first = rows.models[0];
  report::Table table;
  table.columns = {{"model", false}, {"size", true}, {"perplexity", true}, {"bits per byte", true}};
  if (first.divergence)
    for (const char* title : {"KL divergence", "same top token %", "RMS delta p %"})
      table.columns.push_back({title, true});
  const auto add = [&](const std::string& path, const std::string& size, const EvalResult& r, const Divergence* d) {
    std::vector<std::string> cells = {std::filesystem::path(path).lexically_normal().string(), size,
                                      report::plus_minus(r.perplexity.mean, r.perplexity.half_width, 3),
                                      fmt::format("{:.4f}", r.bits_per_byte.mean)};
    if (d)
      for (const auto& cell :
           {report::plus_minus(d->kl.mean, d->kl.half_width, 5), share(d->top1_agreement), share(d->rms_delta_p)})
        cells.push_back(cell);
    cells.resize(table.columns.size());
    table.rows.push_back(std::move(cells));
  };
  if (first.divergence) add(a.against, report::human_bytes(rows.base_bytes), first.divergence->base, nullptr);
  for (const Row& row : rows.models)
    add(row.path, report::human_bytes(row.file_bytes), row.result, row.divergence ? &*row.divergence : nullptr);
  return report::text_table(table) + "\n" + first.result.protocol + ": " + first.result.conditions +
         (first.result.kv == "f32" ? "" : "; keys and values " + first.result.kv) +
         (a.activations.empty() ? "" : "; activations " + a.activations) + "\n";
}

std::string as_text(const Row& row) {
  return row.divergence ? report::comparison_text(Comparison{row.result, *row.divergence})
                        : report::eval_text(row.result);
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<EvalArguments>();
  app.add_option("models", a->models, "Hugging Face folders or .gguf files")->required();
  app.add_option("--text", a->text, "the text to predict, UTF-8; .jsonl: the \"text\" of each line");
  app.add_option("--against", a->against, "the original: also report the divergence from it");
  std::string protocols;
  for (const Protocol& p : all_protocols()) protocols += fmt::format("\n{:>14}  {}", p.name, p.summary);
  app.add_option("--protocol", a->protocol, "how windows are cut and what counts:" + protocols)->capture_default_str();
  add_kv(app, a->kv, "as the model says");
  add_activations(app, a->activations, "as the model says");
  app.add_flag(
      "--fast", a->fast,
      "products as `pith generate` makes them: inputs of quantized matrices rounded to 8 bits, one scale for 32");
  app.add_option("--windows", a->windows.max_windows, "only the first N windows (0: all)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--context", a->windows.context, "tokens of a window (else as the protocol says)")
      ->check(CLI::Range(2, 1 << 24));
  app.add_option("--stride", a->windows.stride,
                 "from a window's beginning to the next one's: windows overlap, and only new tokens count")
      ->check(CLI::PositiveNumber);
  app.add_flag("--json", a->json, "machine-readable output");
  add_fidelity_options(app, a->fidelity);
  add_task_options(app, a->tasks);
  add_threads(app);
  app.callback([a] {
    if (a->text.empty() == a->tasks.tasks.empty())
      throw CLI::ValidationError("pith eval", "expected either --text or --tasks");
    if (a->fidelity.wanted && (a->against.empty() || a->text.empty()))
      throw CLI::ValidationError("--fidelity", "expected --against and --text");
    protocol_or_throw(a->protocol);
    if (!a->kv.empty()) KvSpec{a->kv};  // before any work
    if (!a->activations.empty()) ActSpec{a->activations};
    if (!a->tasks.tasks.empty()) {
      TaskOptions& options = a->tasks.options;
      options.fast = a->fast;
      if (!a->kv.empty()) options.kv = KvSpec(a->kv);
      if (!a->activations.empty()) options.activations = ActSpec(a->activations);
      return run_and_print_tasks(a->models, a->against, a->tasks, a->json);
    }
    const Rows rows = run(*a);
    terminal_progress().end();
    if (a->json) return print(as_json(*a, rows));
    print(rows.models.size() > 1 ? as_table(*a, rows) : as_text(rows.models[0]));
    for (const Row& row : rows.models)
      if (row.fidelity) print("\n" + row.path + "\n" + report::fidelity_text(*row.fidelity));
  });
}

}  // namespace

extern const Command eval_command;
const Command eval_command = {"eval", "measure perplexity, tasks, and the divergence from the original",
                              "  pith eval model.gguf --text wikitext2.test.raw --protocol gptq-2048\n"
                              "  pith eval small.gguf --against original/ --text text.txt\n"
                              "  pith eval model/ --text book.txt --protocol long --context 8192\n"
                              "  pith eval small.gguf --against original/ --text text.txt --fidelity\n"
                              "  pith eval original/ --against original/ --text text.txt --kv kivi:bits=2\n"
                              "  pith eval w8/ --against original/ --text text.txt --activations int8\n"
                              "  pith eval small.gguf --tasks piqa,arc_easy,my.jsonl --limit 200 --against original/\n"
                              "  pith eval small.gguf --tasks instructions --against original/ --judge large.gguf\n"
                              "  pith eval q4.gguf q5.gguf q8.gguf --against original/ --text text.txt --json",
                              set_up};

}  // namespace pith::cli
