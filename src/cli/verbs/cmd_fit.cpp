#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/byte_size.h"
#include "core/error.h"
#include "io/files.h"
#include "report/study/pages.h"
#include "report/table.h"
#include "study/fit.h"

namespace pith::cli {

namespace {

struct FitArguments {
  FitOptions fit;
  std::string model, out, to, max_bytes, max_ram, effort = "normal", protocol = "llamacpp-512";
  std::vector<std::string> calibrate;
  double min_speed = 0, max_kl = 0;
  long long samples = 32, length = 512, seed = 0, windows = 16;
  bool json = false;
};

void take_options(FitArguments& a) {
  FitOptions& o = a.fit;
  if (!a.max_bytes.empty()) o.goal.max_bytes = parse_bytes(a.max_bytes);
  if (!a.max_ram.empty()) o.goal.max_ram = parse_bytes(a.max_ram);
  if (a.min_speed > 0) o.goal.min_tokens_per_second = a.min_speed;
  if (a.max_kl > 0) o.goal.max_kl = a.max_kl;
  o.effort = a.effort == "quick" ? FitEffort::quick : a.effort == "normal" ? FitEffort::normal : FitEffort::thorough;
  if (!a.to.empty()) o.container = container_or_throw(a.to);
  o.calibration.files.assign(a.calibrate.begin(), a.calibrate.end());
  o.calibration.samples = dim(a.samples);
  o.calibration.length = dim(a.length);
  o.calibration.seed = std::uint64_t(a.seed);
  o.measure.eval.protocol = a.protocol;
  o.measure.eval.max_windows = dim(a.windows);
  o.measure.layers = false;
  if (o.goal.min_tokens_per_second) {
    o.measure.speed.emplace();
    o.measure.speed->prompt = 64;
    o.measure.speed->generate = 48;
    o.measure.speed->runs = 3;
  }
  if (a.out.empty()) a.out = model_stem(a.model) + "-fit" + (o.container == Container::gguf ? ".gguf" : "");
}

std::string megabytes(dim bytes) { return fmt::format("{:.1f} MB", double(bytes) / 1e6); }

report::Table front_table(const FitResult& result) {
  report::Table table{
      {{"candidate"}, {"file", true}, {"divergence", true}, {"same top token", true}, {"tokens/s", true}, {"serves"}},
      {}};
  for (const std::size_t i : pareto_front(result.points)) {
    const FitPoint& p = result.points[i];
    const auto& d = *p.record.quality->against_base;
    table.rows.push_back({p.label + (i == result.winner ? " (written)" : ""), megabytes(p.bytes()),
                          fmt::format("{:.4f} ± {:.4f}", d.kl.mean, d.kl.half_width),
                          fmt::format("{:.1f} %", 100 * d.top1.mean),
                          p.record.speed ? fmt::format("{:.1f}", p.record.speed->decode) : "", p.serves ? "yes" : ""});
  }
  return table;
}

std::string text_of(const FitResult& result) {
  std::string out = "\nnot beaten in both bytes and divergence:\n" + report::text_table(front_table(result));
  for (const std::string& note : result.notes) out += "note: " + note + "\n";
  return out;
}

std::string json_of(const FitArguments& a, const FitResult& result) {
  const std::vector<std::size_t> front = pareto_front(result.points);
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < result.points.size(); ++i) {
    const FitPoint& p = result.points[i];
    const auto& d = *p.record.quality->against_base;
    points.push_back(
        {{"candidate", p.label},
         {"file_bytes", p.bytes()},
         {"kl", d.kl.mean},
         {"kl_half_width", d.kl.half_width},
         {"top1_agreement", d.top1.mean},
         {"perplexity", p.record.quality->perplexity.mean},
         {"decode_tokens_per_second", p.record.speed ? nlohmann::ordered_json(p.record.speed->decode) : nullptr},
         {"serves", p.serves},
         {"on_front", std::count(front.begin(), front.end(), i) > 0},
         {"recipe", recipe_yaml(p.recipe)}});
  }
  return nlohmann::ordered_json{{"model", a.model},
                                {"output", a.out},
                                {"winner", result.points[result.winner].label},
                                {"points", std::move(points)},
                                {"notes", result.notes},
                                {"seconds", result.seconds}}
             .dump(2) +
         "\n";
}

void run_fit(FitArguments& a) {
  take_options(a);
  const auto seen = [&](const std::vector<FitPoint>& points) {
    if (a.json) return;
    const std::vector<std::size_t> front = pareto_front(points);
    const FitPoint& p = points.back();
    const bool on_front = std::count(front.begin(), front.end(), points.size() - 1) > 0;
    terminal_progress().end();
    print(fmt::format("{:>3}  {:<44} {:>10}  {:.4f}{}{}\n", points.size(), p.label, megabytes(p.bytes()), p.kl(),
                      p.record.speed ? fmt::format("  {:.1f} tokens/s", p.record.speed->decode) : "",
                      on_front ? "  on the front" : ""));
  };
  const FitResult result = fit(a.model, a.fit, a.out, seen, terminal_progress());
  const FitPoint& winner = result.points[result.winner];
  write_whole(beside(a.out, ".recipe.yaml"), recipe_yaml(winner.recipe));
  write_whole(beside(a.out, ".report.html"), report::study_page(std::span(&result.study, 1), false));
  const std::string json = json_of(a, result);
  write_whole(beside(a.out, ".report.json"), json);
  terminal_progress().end();
  if (a.json) return print(json);
  print(text_of(result) + fmt::format("\nwrote {}: {}\nwrote {} (makes it again) and {}\n", a.out, winner.label,
                                      beside(a.out, ".recipe.yaml").string(), beside(a.out, ".report.html").string()));
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<FitArguments>();
  app.add_option("model", a->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("--max-bytes", a->max_bytes, "of the weight files, e.g. 90MB");
  app.add_option("--max-ram", a->max_ram, "of weights and the keys and values of --context tokens, e.g. 2GB");
  app.add_option("--min-tokens-per-s", a->min_speed, "of decode on this machine")->check(CLI::PositiveNumber);
  app.add_option("--max-kld", a->max_kl, "KL divergence from the original, nats per token: then the smallest file wins")
      ->check(CLI::PositiveNumber);
  app.add_option("--context", a->fit.context, "tokens that --max-ram counts keys and values of")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--text", a->fit.measure.text_file, "what divergence is measured on, UTF-8")->required();
  app.add_option("--windows", a->windows, "of the text")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--protocol", a->protocol, "how windows are cut (see: pith eval --help)")->capture_default_str();
  app.add_option("--calibrate", a->calibrate, "text that methods see (default: the model writes its own)");
  app.add_option("--calibrate-samples", a->samples, "pieces of it")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--calibrate-length", a->length, "tokens of a piece")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--calibrate-seed", a->seed, "draws the pieces")->capture_default_str();
  app.add_option("--effort", a->effort,
                 "quick: two candidates at the goal; normal: also other methods, smaller files, structures taken out; "
                 "thorough: also learned rounding and more of those")
      ->capture_default_str()
      ->check(CLI::IsMember({"quick", "normal", "thorough"}));
  app.add_option("--to", a->to, "gguf, or pith, which also holds what only pith runs (default: gguf)")
      ->check(CLI::IsMember({"gguf", "pith"}));
  app.add_option("-o,--out", a->out, "the file or folder to write (default: named after the model, here)");
  app.add_flag("--resume", a->fit.resume, "go on with a search that was stopped: nothing is measured twice");
  app.add_flag("--overwrite", a->fit.overwrite, "replace an existing output");
  app.add_flag("--json", a->json, "machine-readable output");
  add_threads(app);
  app.callback([a] { run_fit(*a); });
}

}  // namespace

extern const Command fit_command;
const Command fit_command = {
    "fit", "search for what loses least within a size, a memory, a speed or a loss",
    "  pith fit model/ --max-bytes 90MB --text text.txt --calibrate other.txt\n"
    "  pith fit model/ --max-ram 200MB --context 4096 --text text.txt -o small.gguf\n"
    "  pith fit model/ --max-kld 0.05 --text text.txt --effort quick      the smallest file that loses so little\n"
    "  pith fit model/ --min-tokens-per-s 40 --text text.txt --resume",
    set_up};

}  // namespace pith::cli
