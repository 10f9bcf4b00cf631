// What clients of OpenAI's API see.
#include <cmath>
#include <nlohmann/json.hpp>

#include "model/forward.h"
#include "serve/generate.h"
#include "tests/serve/served_model.h"

namespace pith::test {
namespace {

using nlohmann::json;

class ServedApi : public Served {
 protected:
  json ask(const std::string& path, const json& body, int status = 200) const {
    const Reply reply = post(port, path, body.dump());
    EXPECT_EQ(reply.status, status) << reply.body;
    return json::parse(reply.body, nullptr, false);
  }
  // The pieces of a stream, and that it ended as it should.
  std::vector<json> stream(const std::string& path, const json& body) const {
    const Reply reply = post(port, path, body.dump());
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_NE(reply.head.find("text/event-stream"), std::string::npos);
    std::vector<json> pieces;
    bool done = false;
    for (std::size_t at = 0, end; (end = reply.body.find("\n\n", at)) != std::string::npos; at = end + 2) {
      const std::string line = reply.body.substr(at, end - at);
      EXPECT_EQ(line.rfind("data: ", 0), 0u) << line;
      EXPECT_FALSE(done) << line;
      done = line == "data: [DONE]";
      if (!done) pieces.push_back(json::parse(line.substr(6)));
    }
    EXPECT_TRUE(done);
    return pieces;
  }
  std::string alone(const std::vector<Token>& prompt, dim max_tokens) const {
    return generate(*model, prompt, {.max_tokens = max_tokens}, [](std::string_view) { return true; }).text;
  }
};

TEST_F(ServedApi, CompletesStringsListsAndTokens) {
  const auto ids = model->tokenizer().encode("Once upon a time");
  const std::string expected = alone(ids, 20);
  for (const json& prompt : {json("Once upon a time"), json(ids)}) {
    const json got = ask("/v1/completions", {{"prompt", prompt}, {"max_tokens", 20}, {"temperature", 0}});
    EXPECT_EQ(got["choices"][0]["text"], expected);
    EXPECT_EQ(got["choices"][0]["finish_reason"], "length");
    EXPECT_EQ(got["usage"]["prompt_tokens"], ids.size());
    EXPECT_EQ(got["usage"]["completion_tokens"], 20);
    EXPECT_EQ(got["model"], "small");
    EXPECT_EQ(got["object"], "text_completion");
  }
  const json both =
      ask("/v1/completions",
          {{"prompt", {"The dog", "Once upon a time"}}, {"max_tokens", 20}, {"temperature", 0}, {"stop", {"named"}}});
  ASSERT_EQ(both["choices"].size(), 2u);
  EXPECT_EQ(both["choices"][1]["index"], 1);
  EXPECT_EQ(both["choices"][1]["text"], expected.substr(0, expected.find("named")));
  EXPECT_EQ(both["choices"][1]["finish_reason"], "stop");
}

TEST_F(ServedApi, StreamsTheSameText) {
  const json body = {{"prompt", "Once upon a time"}, {"max_tokens", 30}, {"temperature", 0.7}, {"seed", 4}};
  const json whole = ask("/v1/completions", body);
  json streamed = body;
  streamed["stream"] = true;
  streamed["stream_options"] = {{"include_usage", true}};
  const auto pieces = stream("/v1/completions", streamed);
  std::string text;
  for (const json& piece : pieces)
    if (!piece["choices"].empty()) text += piece["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(text, whole["choices"][0]["text"]);
  ASSERT_GT(pieces.size(), 3u);
  EXPECT_EQ(pieces.back()["usage"]["completion_tokens"], 30);
  EXPECT_GT(pieces.back()["usage"]["tokens_per_second"].get<double>(), 0);
  EXPECT_EQ(pieces[pieces.size() - 2]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(pieces[0]["id"], pieces.back()["id"]);
}

// What lm-evaluation-harness reads: with echo, the log-probability of each token of the prompt, and the likeliest.
TEST_F(ServedApi, EchoesLogProbabilities) {
  const auto ids = model->tokenizer().encode("Once upon a time, there was");
  const json got = ask("/v1/completions", {{"prompt", json::array({ids})},
                                           {"max_tokens", 1},
                                           {"temperature", 0},
                                           {"logprobs", 1},
                                           {"echo", true},
                                           {"seed", 1234}});
  const json& scores = got["choices"][0]["logprobs"];
  ASSERT_EQ(scores["tokens"].size(), ids.size() + 1);
  ASSERT_EQ(scores["token_logprobs"].size(), ids.size() + 1);
  ASSERT_EQ(scores["top_logprobs"].size(), ids.size() + 1);
  EXPECT_TRUE(scores["token_logprobs"][0].is_null());
  Forward forward(*model);
  KvCache cache(model->config(), 1, 32);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    const auto logits = forward.next(cache, {&ids[i], 1});
    double sum = 0, best = -1e30;
    for (const float x : logits) {
      sum += std::exp(double(x));
      best = std::max(best, double(x));
    }
    // Products of one row and of eight add in other orders: 1e-5 of logits of size 10.
    EXPECT_NEAR(scores["token_logprobs"][i + 1].get<double>(), double(logits[std::size_t(ids[i + 1])]) - std::log(sum),
                1e-3);
    EXPECT_NEAR(scores["top_logprobs"][i + 1].begin()->get<double>(), best - std::log(sum), 1e-3);
  }
  const std::string text = got["choices"][0]["text"];
  EXPECT_NE(text.find("Once upon a time, there was"), std::string::npos);
  const json plain =
      ask("/v1/completions", {{"prompt", "Once upon"}, {"max_tokens", 0}, {"logprobs", 0}, {"echo", true}});
  EXPECT_EQ(plain["choices"][0]["text"], "Once upon");
  // BOS was put before the text, so its first token has a score as well.
  EXPECT_EQ(plain["choices"][0]["logprobs"]["token_logprobs"].size(),
            model->tokenizer().encode("Once upon").size() - 1);
  EXPECT_TRUE(plain["choices"][0]["logprobs"]["token_logprobs"][0].is_number());
}

TEST_F(ServedApi, ChatsByTheTemplateOfTheModel) {
  const auto from = data_folder() / "models/stories260K/hf";
  if (!std::filesystem::exists(from)) GTEST_SKIP() << "no test data at " << from;
  stop();
  const TempFolder folder;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
    std::filesystem::copy_file(from / name, folder.path / name);
  json config = json::parse(read_file(from / "tokenizer_config.json"));
  config["chat_template"] =
      "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% endif %}";
  std::ofstream(folder.path / "tokenizer_config.json") << config.dump();
  model.emplace(Model::open(folder.path));
  start({.slots = 2, .context = 256});
  json body = {{"messages", {{{"role", "system"}, {"content", "S"}}, {{"role", "user"}, {"content", "Who is Tom?"}}}},
               {"max_tokens", 20},
               {"temperature", 0},
               {"logprobs", true},
               {"top_logprobs", 2}};
  const json whole = ask("/v1/chat/completions", body);
  const auto prompt = model->tokenizer().encode("<system>S<user>Who is Tom?<assistant>");
  EXPECT_EQ(whole["choices"][0]["message"], (json{{"role", "assistant"}, {"content", alone(prompt, 20)}}));
  EXPECT_EQ(whole["usage"]["prompt_tokens"], prompt.size());
  EXPECT_EQ(whole["object"], "chat.completion");
  const json& scores = whole["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(scores.size(), 20u);
  EXPECT_EQ(scores[0]["top_logprobs"].size(), 2u);
  EXPECT_EQ(scores[0]["top_logprobs"][0]["logprob"], scores[0]["logprob"]);  // greedy
  body["stream"] = true;
  std::string text;
  std::size_t scored = 0;
  const auto pieces = stream("/v1/chat/completions", body);
  for (const json& piece : pieces) {
    EXPECT_EQ(piece["object"], "chat.completion.chunk");
    text += piece["choices"][0]["delta"].value("content", "");
    if (!piece["choices"][0]["logprobs"].is_null()) scored += piece["choices"][0]["logprobs"]["content"].size();
  }
  EXPECT_EQ(pieces[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  EXPECT_EQ(scored, 20u);
  stop();
}

TEST_F(ServedApi, FaultsAreErrorObjects) {
  const auto fault = [&](const json& body, int status) { return ask("/v1/completions", body, status)["error"]; };
  const json bad = fault({{"prompt", "x"}, {"n", 2}}, 400);
  EXPECT_EQ(bad["type"], "invalid_request_error");
  EXPECT_EQ(bad["param"], "n");
  EXPECT_EQ(fault({{"prompt", "x"}, {"model", "large"}}, 404)["param"], "model");
  EXPECT_EQ(fault({{"prompt", json::array({"a", "b"})}, {"stream", true}}, 400)["param"], "stream");
  EXPECT_EQ(fault({{"prompt", std::string(3000, 'x')}}, 400)["param"], "prompt");
  EXPECT_EQ(fault({{"prompt", json::array({1, 512})}}, 400)["param"], "prompt");
  // The model has no template.
  EXPECT_EQ(ask("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}}, 400)["error"]["param"],
            "chat template");
  EXPECT_EQ(get(port, "/v1/completions").status, 404);
  EXPECT_TRUE(json::parse(get(port, "/nothing").body).contains("error"));
}

TEST_F(ServedApi, TellsOfItself) {
  const json models = json::parse(get(port, "/v1/models").body);
  EXPECT_EQ(models["data"][0]["id"], "small");
  EXPECT_EQ(json::parse(get(port, "/health").body)["status"], "ok");
  const Reply page = get(port, "/");
  EXPECT_NE(page.head.find("text/html"), std::string::npos);
  EXPECT_EQ(page.body.rfind("<!doctype html>", 0), 0u);
  ask("/v1/completions", {{"prompt", "Once"}, {"max_tokens", 3}});
  const std::string metrics = get(port, "/metrics").body;
  EXPECT_NE(metrics.find("\npith_requests_finished_total{model=\"small\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("\npith_generated_tokens_total{model=\"small\"} 3\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("# TYPE pith_requests_active gauge\n"), std::string::npos);
}

TEST_F(ServedApi, AsksForItsKey) {
  start({.slots = 1, .context = 64}, {}, "secret");
  for (const char* header : {"", "Authorization: Bearer wrong\r\n", "Authorization: secret\r\n",
                             "Authorization: Bearer secretsecret\r\n", "Authorization: Bearer \r\n"}) {
    EXPECT_EQ(get(port, "/v1/models", header).status, 401) << header;
    EXPECT_EQ(post(port, "/v1/completions", R"({"prompt": "x"})", header).status, 401) << header;
    EXPECT_EQ(get(port, "/metrics", header).status, 401) << header;
  }
  EXPECT_EQ(get(port, "/v1/models", "Authorization: Bearer secret\r\n").status, 200);
  EXPECT_EQ(get(port, "/health").status, 200);
}

TEST_F(ServedApi, ManyAtOnceGetWhatEachWouldGetAlone) {
  std::vector<std::string> prompts, texts(12);
  for (int i = 0; i < 12; ++i) prompts.push_back("One day " + std::string(std::size_t(i), 'a') + " girl");
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    clients.emplace_back([&, i] {
      const json body = {{"prompt", prompts[i]}, {"max_tokens", 25}, {"temperature", 0}};
      const Reply reply = post(port, "/v1/completions", body.dump());
      if (reply.status == 200) texts[i] = json::parse(reply.body)["choices"][0]["text"];
    });
  for (auto& client : clients) client.join();
  for (std::size_t i = 0; i < prompts.size(); ++i)
    EXPECT_EQ(texts[i], alone(model->tokenizer().encode(prompts[i]), 25));
}

}  // namespace
}  // namespace pith::test
