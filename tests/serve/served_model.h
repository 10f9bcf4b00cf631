// A server in this process, of a small model.
#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "serve/http/api.h"
#include "tests/serve/raw_client.h"
#include "tests/shared_data.h"

namespace pith::test {

class Served : public testing::Test {
 protected:
  // Once more after other choices.
  void start(const BatchOptions& batch, const HttpLimits& http = {}, const std::string& key = "") {
    stop();
    engine.emplace(*model, batch);
    api.emplace(std::vector<ServedModel>{{"small", &*engine}}, ApiOptions{key, {.max_tokens = 100000}});
    server.emplace(http);
    api->add_routes(*server);
    port = server->bind("127.0.0.1", 0);
    thread = std::thread([this] { server->run(); });
  }
  void stop() {
    if (!thread.joinable()) return;
    server->stop();
    thread.join();
    server.reset();
    api.reset();
    engine.reset();
  }
  void SetUp() override {
    const auto path = data_folder() / "models/stories260K/stories260K-f32.gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no test data at " << path;
    model.emplace(Model::open(path));
    start({.slots = 4, .context = 256});
  }
  void TearDown() override { stop(); }

  // Until it is so, or ten seconds have passed.
  template <class Condition>
  bool comes_true(const Condition& condition) const {
    for (int i = 0; i < 3000; ++i) {  // a busy machine takes its time
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

  std::optional<Model> model;
  std::optional<BatchEngine> engine;
  std::optional<Api> api;
  std::optional<HttpServer> server;
  std::thread thread;
  int port = 0;
};

}  // namespace pith::test
