#include "serve/http/api.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "serve/http/answering.h"
#include "serve/http/metrics.h"
#include "serve/http/openai_response.h"

namespace pith {

namespace {

// Takes as long for a wrong key as for a right one.
bool same_secret(const std::string& a, const std::string& b) {
  std::size_t difference = a.size() ^ b.size();
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |=
        std::size_t(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[b.empty() ? 0 : i % b.size()]));
  return difference == 0;
}

// "[field] expected ..." of an Error.
std::string field_of(const std::string& message) {
  const std::size_t end = message.find(']');
  return message.empty() || message[0] != '[' || end == std::string::npos ? "" : message.substr(1, end - 1);
}

void fail(HttpResponse& out, int status, const std::string& message, const std::string& param = "") {
  out.status = status;
  out.type = "application/json";
  out.body = error_json(status, message, param);
}

std::uint64_t random_number() {
  thread_local std::random_device device;
  return std::uint64_t(device()) << 32 | device();
}

}  // namespace

struct Api::Impl {
  std::vector<ServedModel> models;
  ApiOptions options;
  std::atomic<bool> stopping = false;
  std::int64_t started =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();

  bool allowed(const HttpRequest& request, HttpResponse& out) const {
    if (options.key.empty() || same_secret("Bearer " + options.key, request.authorization)) return true;
    fail(out, 401, "expected the header Authorization: Bearer KEY with the key of this server");
    return false;
  }
  const ServedModel* find(const std::string& id) const {
    if (id.empty()) return &models[0];
    for (const ServedModel& m : models)
      if (m.id == id) return &m;
    return nullptr;
  }
  std::string list() const;
  void answer(const HttpRequest& request, HttpResponse& out, bool chat) const;
  void start(const ApiRequest& request, const ServedModel& model, HttpResponse& out, bool chat) const;
};

std::string Api::Impl::list() const {
  nlohmann::ordered_json data = nlohmann::ordered_json::array();
  for (const ServedModel& m : models)
    data.push_back({{"id", m.id},
                    {"object", "model"},
                    {"created", started},
                    {"owned_by", "pith"},
                    {"context", m.engine->context()},
                    {"bytes", m.engine->model().file_bytes()},
                    {"chat", !m.engine->model().tokenizer().chat_template().empty()}});
  const nlohmann::ordered_json out = {{"object", "list"}, {"data", data}};
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void Api::Impl::answer(const HttpRequest& in, HttpResponse& out, bool chat) const {
  if (!allowed(in, out)) return;
  if (stopping) return fail(out, 503, "the server is stopping");
  try {
    ApiRequest request = chat ? parse_chat(in.body, options.limits) : parse_completion(in.body, options.limits);
    const ServedModel* model = find(request.model);
    if (!model)
      return fail(out, 404, fmt::format("there is no model '{}'; /v1/models lists them", request.model), "model");
    if (!request.seeded) request.options.sampler.seed = random_number();
    start(request, *model, out, chat);
  } catch (const Error& e) {
    if (e.blame() != Blame::input) return fail(out, 500, e.what());
    fail(out, 400, e.what(), field_of(e.what()));
  }
}

void Api::Impl::start(const ApiRequest& request, const ServedModel& model, HttpResponse& out, bool chat) const {
  if (request.stream && request.prompts.size() > 1)
    throw input_error("stream", "expected one prompt, got {}", request.prompts.size());
  ApiHead head = {fmt::format("{}-{:016x}", chat ? "chatcmpl" : "cmpl", random_number()), model.id, 0, chat};
  head.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  auto answering = std::make_shared<Answering>(head, request, *model.engine);
  if (!answering->accepted())
    return stopping ? fail(out, 503, "the server is stopping")
                    : fail(out, 429, "too many requests wait already; try again later");
  if (!request.stream) {
    const auto status = answering->finish([] { return HttpServer::client_gone(); }, out.body);
    out.status = status;
    return;
  }
  out.type = "text/event-stream";
  out.pieces = [answering](std::string& piece) { return answering->next_events(piece); };
}

Api::Api(std::vector<ServedModel> models, ApiOptions options)
    : impl_(new Impl{.models = std::move(models), .options = std::move(options)}) {}
Api::~Api() = default;

void Api::stop_accepting() { impl_->stopping = true; }

void Api::add_routes(HttpServer& server) {
  Impl* api = impl_.get();
  server.on_error([](int status, const std::string& message) { return error_json(status, message); });
  server.get("/", [](const HttpRequest&, HttpResponse& out) {
    out.type = "text/html; charset=utf-8";
    out.body = kServePage;
  });
  server.get("/health", [api](const HttpRequest&, HttpResponse& out) {
    out.status = api->stopping ? 503 : 200;
    out.body = api->stopping ? R"({"status":"stopping"})" : R"({"status":"ok"})";
  });
  server.get("/metrics", [api](const HttpRequest& in, HttpResponse& out) {
    if (!api->allowed(in, out)) return;
    out.type = "text/plain; version=0.0.4";
    out.body = metrics_text(api->models);
  });
  server.get("/v1/models", [api](const HttpRequest& in, HttpResponse& out) {
    if (api->allowed(in, out)) out.body = api->list();
  });
  server.post("/v1/completions", [api](const HttpRequest& in, HttpResponse& out) { api->answer(in, out, false); });
  server.post("/v1/chat/completions", [api](const HttpRequest& in, HttpResponse& out) { api->answer(in, out, true); });
}

}  // namespace pith
