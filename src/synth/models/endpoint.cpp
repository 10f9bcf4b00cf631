#include "synth/models/endpoint.h"

#include <httplib.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "core/error.h"
#include "io/json.h"
#include "io/sha256.h"

namespace pith::synth {

namespace {

using Json = nlohmann::json;

constexpr int kTries = 60;  // of a busy server, with growing pauses of up to five seconds

struct Address {
  std::string host, path;
};

Address address_of(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const auto fail = [&] {
    return Error(Blame::input, "teacher",
                 fmt::format("expected an address of this machine, http://127.0.0.1:PORT, got {}", url),
                 "requests are not encrypted; for a server elsewhere open a tunnel (ssh -L)");
  };
  if (!url.starts_with(kScheme)) throw fail();
  const auto slash = url.find('/', kScheme.size());
  Address out = {url.substr(0, slash), slash == url.npos ? "" : url.substr(slash)};
  while (out.path.ends_with('/')) out.path.pop_back();
  if (out.path.empty()) out.path = "/v1";
  std::string name = out.host.substr(kScheme.size());
  if (name.starts_with('['))
    name = name.substr(0, name.find(']') + 1);
  else
    name = name.substr(0, name.find(':'));
  // Digits and dots alone: 127.0.0.1.example.org is another machine.
  const bool numbers = name.starts_with("127.") && name.find_first_not_of("0123456789.") == name.npos;
  if (!numbers && name != "localhost" && name != "[::1]") throw fail();
  return out;
}

httplib::Client client_for(const EndpointChoice& choice, const std::string& host) {
  httplib::Client client(host);
  client.set_read_timeout(time_t(choice.seconds), 0);
  client.set_connection_timeout(10, 0);
  client.set_keep_alive(true);
  if (!choice.key.empty()) client.set_bearer_token_auth(choice.key.c_str());
  return client;
}

[[noreturn]] void refuse(const std::string& where, int status, const std::string& body) {
  throw environment_error(where, "expected an answer, got status {}: {}", status, body.substr(0, 300));
}

std::string body_of(const Request& r, const std::string& model) {
  const Sampling& s = r.sampling;
  Json messages = Json::array();
  for (const ChatMessage& m : r.messages) messages.push_back({{"role", m.role}, {"content", m.content}});
  Json body = {{"model", model},   {"messages", messages}, {"max_tokens", s.max_tokens}, {"temperature", s.temperature},
               {"top_p", s.top_p}, {"seed", r.seed}};
  // Not of OpenAI's own API, so only where they are wanted.
  if (s.top_k > 0) body["top_k"] = s.top_k;
  if (s.repetition_penalty != 1) body["repetition_penalty"] = s.repetition_penalty;
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Reply reply_of(const std::string& body, const std::string& where) {
  const Json json = parse_json(body, where, {.unique_keys = false});
  const auto fault = [&] {
    return environment_error(where, "expected a chat completion, got {}", body.substr(0, 300));
  };
  if (!json.is_object() || !json.contains("choices") || !json["choices"].is_array() || json["choices"].empty())
    throw fault();
  const Json& choice = json["choices"][0];
  if (!choice.is_object() || !choice.contains("message") || !choice["message"].is_object()) throw fault();
  const Json content = choice["message"].value("content", Json());
  if (!content.is_string() && !content.is_null()) throw fault();
  Reply reply;
  if (content.is_string()) reply.text = content.get<std::string>();
  if (choice.value("finish_reason", Json()) == "length") reply.end = ReplyEnd::length;
  if (const Json usage = json.value("usage", Json()); usage.is_object())
    if (const Json tokens = usage.value("completion_tokens", Json()); tokens.is_number_unsigned())
      reply.tokens = tokens.get<dim>();
  return reply;
}

// What those who ask and the one who takes the replies share.
class Queue {
 public:
  Queue(std::size_t requests, dim workers) : end_(requests), working_(workers) {}

  // The next request; none where all were taken or one has failed.
  std::optional<std::size_t> take() {
    const std::lock_guard lock(mutex_);
    if (fault_ || next_ >= end_) return std::nullopt;
    return next_++;
  }
  void give(std::size_t index, Reply reply) {
    const std::lock_guard lock(mutex_);
    ready_.emplace_back(index, std::move(reply));
    changed_.notify_all();
  }
  void fail(std::exception_ptr fault) {
    const std::lock_guard lock(mutex_);
    if (!fault_) fault_ = std::move(fault);
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    --working_;
    changed_.notify_all();
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    next_ = end_;
  }
  // Replies, at least one unless all who ask have left.
  std::vector<std::pair<std::size_t, Reply>> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || working_ == 0; });
    return std::exchange(ready_, {});
  }
  void rethrow() const {
    if (fault_) std::rethrow_exception(fault_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::size_t, Reply>> ready_;
  std::exception_ptr fault_;
  std::size_t next_ = 0;
  const std::size_t end_;
  dim working_;
};

}  // namespace

bool is_endpoint(std::string_view text) { return text.find("://") != text.npos; }

Endpoint::Endpoint(const EndpointChoice& choice) : choice_(choice) {
  Address address = address_of(choice.url);
  host_ = std::move(address.host), path_ = std::move(address.path);
  auto client = client_for(choice_, host_);
  const std::string where = host_ + path_ + "/models";
  const auto got = client.Get((path_ + "/models").c_str());
  if (!got)
    throw environment_error(where, "expected a server of OpenAI's API, got {}", httplib::to_string(got.error()));
  if (got->status != 200) refuse(where, got->status, got->body);
  if (!choice_.model.empty()) return;
  const Json list = parse_json(got->body, where, {.unique_keys = false});
  const bool listed = list.is_object() && list.contains("data") && list["data"].is_array() && !list["data"].empty() &&
                      list["data"][0].is_object() && list["data"][0].value("id", Json()).is_string();
  if (!listed) throw environment_error(where, "expected a list of models, got {}", got->body.substr(0, 300));
  choice_.model = list["data"][0]["id"].get<std::string>();
}

ModelIdentity Endpoint::identity() const {
  return {host_ + path_ + " " + choice_.model,
          sha256_hex("endpoint " + host_ + path_ + " " + choice_.model).substr(0, 32)};
}

Reply Endpoint::ask(httplib::Client& client, const Request& request) const {
  if (request.contrast)
    throw Error(Blame::input, "teacher", "expected a model file for contrastive decoding, got an endpoint",
                "--teacher MODEL.gguf");
  const std::string path = path_ + "/chat/completions", where = host_ + path;
  const std::string body = body_of(request, choice_.model);
  for (int tries = 1;; ++tries) {
    const auto got = client.Post(path.c_str(), body, "application/json");
    if (!got) throw environment_error(where, "expected an answer, got {}", httplib::to_string(got.error()));
    if (got->status == 200) return reply_of(got->body, where);
    const auto names = [&](const char* word) { return got->body.find(word) != std::string::npos; };
    if (got->status == 400 && (names("context") || names("\"prompt\""))) return Reply{"", 0, ReplyEnd::no_room};
    if ((got->status != 429 && got->status != 503) || tries == kTries) refuse(where, got->status, got->body);
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(100 * tries, 5000)));
  }
}

void Endpoint::answer(std::span<const Request> requests, const std::function<void(std::size_t, const Reply&)>& done) {
  const dim workers = std::min<dim>(choice_.requests, dim(requests.size()));
  Queue queue(requests.size(), workers);
  const auto work = [&] {
    auto client = client_for(choice_, host_);
    while (const auto mine = queue.take()) {
      try {
        queue.give(*mine, ask(client, requests[*mine]));
      } catch (...) {
        queue.fail(std::current_exception());
      }
    }
    queue.leave();
  };
  std::vector<std::jthread> threads;
  // Should `done` throw, nothing more is asked; before the threads are waited for.
  struct Stop {
    Queue& queue;
    ~Stop() { queue.stop(); }
  };
  for (dim i = 0; i < workers; ++i) threads.emplace_back(work);
  const Stop stop{queue};
  while (true) {
    const auto ready = queue.wait();
    if (ready.empty()) break;
    for (const auto& [index, reply] : ready) done(index, reply);
  }
  queue.rethrow();
}

void Endpoint::score(std::span<const ScoreRequest>, const std::function<void(std::size_t, const TextScore&)>&) {
  throw Error(Blame::input, "student", "expected a model file for scores of texts, got an endpoint",
              "--student MODEL.gguf");
}

}  // namespace pith::synth
