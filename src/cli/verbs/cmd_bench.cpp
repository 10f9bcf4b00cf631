#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "core/parallel.h"
#include "report/speed.h"

namespace pith::cli {

namespace {

struct BenchArguments {
  std::vector<std::string> models;
  SpeedOptions options;
  std::string kv, activations;
  bool json = false;
};

void run(BenchArguments& a) {
  report::Benchmark b;
  if (a.options.threads.empty()) a.options.threads = {num_threads()};
  const int before = num_threads();
  for (const int threads : a.options.threads) {
    set_num_threads(threads);
    b.peaks.push_back(measure_peaks());
  }
  set_num_threads(before);
  b.options = a.options;
  for (const std::string& path : a.models) b.models.push_back(measure_speed(path, a.options, terminal_progress()));
  print(a.json ? report::speed_json(b) : report::speed_text(b));
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<BenchArguments>();
  SpeedOptions& o = a->options;
  app.add_option("models", a->models, "Hugging Face folders or .gguf files; ratios are to the first")->required();
  app.add_option("-p,--prompt", o.prompt, "tokens of prefill (0: none)")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("-n,--generate", o.generate, "tokens of decode (0: none)")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--contexts", o.depths, "tokens already in the cache, several by commas")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  app.add_option("--batches", o.batches, "sequences decoded at once, several by commas")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("-t,--threads", o.threads, "threads, several by commas (default: all processors)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  app.add_option("-r,--runs", o.runs, "runs of each, after one that does not count")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_exact(app, o.exact);
  add_kv(app, a->kv, "as the model says");
  add_activations(app, a->activations, "as the model says");
  app.add_flag("--json", a->json, "machine-readable output");
  app.callback([a] {
    if (!a->kv.empty()) a->options.kv = KvSpec(a->kv);
    if (!a->activations.empty()) a->options.activations = ActSpec(a->activations);
    run(*a);
  });
}

}  // namespace

extern const Command bench_command;
const Command bench_command = {"bench", "how fast models run: tokens per second, first token, memory, MFU and MBU",
                               "  pith bench model.gguf\n"
                               "  pith bench base.gguf small.gguf --json > speed.json\n"
                               "  pith bench model.gguf --contexts 0,1024,4096 --batches 1,4 -t 1,2\n"
                               "  pith bench model.gguf -p 0 -n 32 --kv int8",
                               set_up};

}  // namespace pith::cli
