#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "cli/command.h"
#include "core/error.h"
#include "serve/http/api.h"

namespace pith::cli {

namespace {

struct ServeArguments {
  std::string model, compare, kv, activations;
  std::string host = "127.0.0.1", key;
  int port = 8080;
  dim max_tokens = 2048;
  double drain_seconds = 10;
  BatchOptions batch;
  HttpLimits http;
};

// SIGINT and SIGTERM are left to the thread that waits for them; to be made before other threads are.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }

 private:
  sigset_t set_;
};

// A model, its thread and its cache.
struct Served {
  Model model;
  std::unique_ptr<BatchEngine> engine;
  Served(const std::string& path, const ServeArguments& a) : model(Model::open(path)) {
    BatchOptions options = a.batch;
    if (!a.kv.empty()) options.kv = KvSpec(a.kv);
    if (!a.activations.empty()) options.activations = ActSpec(a.activations);
    const dim limit = model.config().context;
    if (options.context == 0) options.context = limit > 0 ? std::min<dim>(limit, 2048) : 2048;
    model.tokenizer();  // refused now rather than at the first request
    engine = std::make_unique<BatchEngine>(model, options);
  }
};

std::string id_of(const std::string& path) {
  const std::filesystem::path absolute = std::filesystem::absolute(path).lexically_normal();
  const std::filesystem::path named = absolute.has_filename() ? absolute : absolute.parent_path();
  return named.extension() == ".gguf" ? named.stem().string() : named.filename().string();
}

void announce(const ServeArguments& a, const std::vector<ServedModel>& models, int port) {
  for (const ServedModel& m : models) {
    const BatchCounts counts = m.engine->counts();
    fmt::print(stderr, "{}: {} requests at once of {} tokens each, {:.0f} MB of keys and values\n", m.id, counts.slots,
               m.engine->context(), double(counts.kv_bytes) * 1e-6);
  }
  const bool v6 = a.host.find(':') != std::string::npos;
  print(fmt::format("http://{}:{}/\n", v6 ? "[" + a.host + "]" : a.host, port));
}

void run(ServeArguments& a) {
  const StopSignals signals;
  if (const char* key = std::getenv("PITH_API_KEY"); key && a.key.empty()) a.key = key;
  Served first(a.model, a);
  std::optional<Served> second;
  std::vector<ServedModel> models = {{id_of(a.model), first.engine.get()}};
  if (!a.compare.empty()) {
    second.emplace(a.compare, a);
    std::string id = id_of(a.compare);
    if (id == models[0].id) id += "-base";
    models.push_back({id, second->engine.get()});
  }
  Api api(models, {.key = a.key, .limits = {.max_tokens = a.max_tokens}});
  HttpServer server(a.http);
  api.add_routes(server);
  const int port = server.bind(a.host, a.port);
  announce(a, models, port);
  std::thread http([&] { server.run(); });
  signals.wait();
  fmt::print(stderr, "stopping: running requests have {} seconds\n", a.drain_seconds);
  api.stop_accepting();
  std::thread other([&] {
    if (second) second->engine->stop(a.drain_seconds);
  });
  first.engine->stop(a.drain_seconds);
  other.join();
  server.stop();
  http.join();
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<ServeArguments>();
  a->batch.context = 0;
  app.add_option("model", a->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("--compare", a->compare, "a second model, to be served beside it: the original, say");
  app.add_option("--host", a->host, "the address to listen on; others than 127.0.0.1 let other machines in")
      ->capture_default_str();
  app.add_option("-p,--port", a->port, "0: any that is free")->capture_default_str()->check(CLI::Range(0, 65535));
  app.add_option("--api-key", a->key, "asked of every request to /v1 and /metrics (or the environment's PITH_API_KEY)");
  app.add_option("--slots", a->batch.slots, "requests that run at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--context", a->batch.context, "tokens of prompt and answer together (0: up to 2048)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("-n,--max-tokens", a->max_tokens, "tokens of an answer; what asks for more gets these")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--max-seconds", a->batch.max_seconds, "of an answer; then it ends as it is")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--max-waiting", a->batch.waiting, "requests that wait for a slot; more are refused")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  app.add_option("--max-clients", a->http.clients, "connections at once; more are refused")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--max-body", a->http.body_bytes, "bytes of a request")
      ->capture_default_str()
      ->check(CLI::Range(dim(1), dim(1) << 28));
  app.add_option("--prompt-piece", a->batch.prompt_piece, "tokens of prompts in one run, while others write")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  app.add_flag_callback(
      "--loose", [a] { a->batch.steady = false; },
      "let the last bits depend on how many requests run at once; faster while there are few (--slots 1 is both)");
  app.add_option("--drain-seconds", a->drain_seconds, "for running requests, when asked to stop")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  add_kv(app, a->kv, "as the model says");
  add_activations(app, a->activations, "as the model says");
  add_exact(app, a->batch.exact);
  add_threads(app);
  app.callback([a] { run(*a); });
}

}  // namespace

extern const Command serve_command;
const Command serve_command = {
    "serve", "answer over HTTP, as OpenAI's API does, with a page to chat",
    "  pith serve model.gguf\n"
    "  pith serve model-q4.gguf --compare model/ --slots 1       and open http://127.0.0.1:8080/\n"
    "  pith serve model.gguf --slots 64 --context 512 --port 8000 --api-key SECRET",
    set_up};

}  // namespace pith::cli
