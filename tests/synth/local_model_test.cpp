// A model of this machine, and the same one behind an endpoint.
#include "synth/models/local_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "serve/chat_prompt.h"
#include "synth/models/contrast.h"
#include "synth/models/endpoint.h"
#include "tests/serve/served_model.h"

namespace pith::synth {
namespace {

using nlohmann::json;

constexpr const char* kTemplate =
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

// stories260K with a chat template.
class Local : public testing::Test {
 protected:
  void SetUp() override {
    const auto from = pith::test::data_folder() / "models/stories260K/hf";
    if (!std::filesystem::exists(from)) GTEST_SKIP() << "no test data at " << from;
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
      std::filesystem::copy_file(from / name, folder.path / name);
    json config = json::parse(pith::test::read_file(from / "tokenizer_config.json"));
    config["chat_template"] = kTemplate;
    std::ofstream(folder.path / "tokenizer_config.json") << config.dump();
  }
  static std::vector<Request> requests() {
    std::vector<Request> all;
    for (const char* question : {"Who is Tom?", "Tell a story of a dog and a cat", "Why?", "Lily has a red ball.",
                                 "What did the bird say to the bear?", "One day", "Hi"}) {
      Request r = {
          {{"user", question}}, {.temperature = all.size() % 2 ? 0.8 : 0, .max_tokens = 24}, 100 + all.size(), {}};
      if (all.size() % 3 == 2) r.messages.insert(r.messages.begin(), {"system", "Be kind."});
      all.push_back(std::move(r));
    }
    return all;
  }
  static std::vector<std::string> texts(TextModel& model, const std::vector<Request>& asked) {
    std::vector<std::string> out(asked.size());
    model.answer(asked, [&](std::size_t i, const Reply& reply) {
      EXPECT_TRUE(out[i].empty());
      out[i] = fmt::format("{}|{}|{}", reply.text, reply.tokens, int(reply.end));
    });
    return out;
  }
  pith::test::TempFolder folder;
};

TEST_F(Local, RepliesAreThoseOfEachRequestAlone) {
  const auto asked = requests();
  LocalModel wide(folder.path, {.slots = 8}), narrow(folder.path, {.slots = 2});
  const auto all = texts(wide, asked);
  EXPECT_EQ(texts(narrow, asked), all);
  const int threads = num_threads();
  set_num_threads(threads == 1 ? 3 : 1);
  EXPECT_EQ(texts(wide, asked), all);
  set_num_threads(threads);
  const Model model = Model::open(folder.path);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    std::string prompt;
    for (const ChatMessage& m : asked[i].messages) prompt += "<" + m.role + ">" + m.content;
    GenerateOptions o;
    o.max_tokens = 24;
    o.sampler.temperature = asked[i].sampling.temperature;
    o.sampler.seed = asked[i].seed;
    const auto alone =
        generate(model, model.tokenizer().encode(prompt + "<assistant>"), o, [](std::string_view) { return true; });
    EXPECT_EQ(all[i], fmt::format("{}|24|1", alone.text));
  }
}

TEST_F(Local, EndpointsReplyLikeTheModelBehindThem) {
  const Model model = Model::open(folder.path);
  BatchEngine engine(model, {.slots = 4, .context = 256, .waiting = 2});  // often busy
  Api api({{"small", &engine}}, {"", {.max_tokens = 1000}});
  HttpServer server({});
  api.add_routes(server);
  const int port = server.bind("127.0.0.1", 0);
  std::thread thread([&] { server.run(); });
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  {
    Endpoint endpoint({.url = url, .requests = 7});
    EXPECT_EQ(endpoint.identity().name, url + "/v1 small");
    LocalModel local(folder.path, {.slots = 4});
    EXPECT_EQ(texts(endpoint, requests()), texts(local, requests()));
    Request large = requests()[0];
    large.messages[0].content.assign(2000, 'x');
    endpoint.answer(std::span(&large, 1), [](std::size_t, const Reply& r) { EXPECT_EQ(r.end, ReplyEnd::no_room); });
    Request against = requests()[0];
    against.contrast.emplace();
    EXPECT_THROW(texts(endpoint, {against}), Error);
    EXPECT_THROW(endpoint.score({}, {}), Error);
  }
  server.stop();
  thread.join();
  EXPECT_THROW(Endpoint({.url = url}), Error);  // nobody there
}

TEST(EndpointAddress, IsOfThisMachine) {
  for (const char* url : {"https://127.0.0.1:1", "http://example.org", "http://127.0.0.1.example.org",
                          "http://10.0.0.1:80", "ftp://localhost", "http://localhost.example.org"}) {
    try {
      Endpoint endpoint({.url = url});
      ADD_FAILURE() << url;
    } catch (const Error& e) {
      EXPECT_EQ(e.blame(), Blame::input) << url;
    }
  }
  EXPECT_TRUE(is_endpoint("http://x"));
  EXPECT_FALSE(is_endpoint("models/x.gguf"));
}

TEST_F(Local, ScoresAreLogProbabilitiesOfTheText) {
  LocalModel model(folder.path, {.exact = true});
  const ScoreRequest request = {{{"user", "Who is Tom?"}}, "Tom is a boy."};
  const Model plain = Model::open(folder.path);
  const Tokenizer& tokenizer = plain.tokenizer();
  std::vector<Token> tokens = tokenizer.encode("<user>Who is Tom?<assistant>");
  const std::vector<Token> text = tokenizer.encode(request.text, false, false);
  Forward forward(plain);
  KvCache cache(plain.config(), 1, 256);
  double sum = 0;
  for (const Token t : text) {
    const auto logits = forward.next(cache, std::span(tokens).subspan(std::size_t(cache.length(0))));
    sum += double(score_token(logits, t, 0).logprob);
    tokens.push_back(t);
  }
  model.score(std::span(&request, 1), [&](std::size_t, const TextScore& score) {
    EXPECT_EQ(score.tokens, dim(text.size()));
    EXPECT_NEAR(score.logprob, sum, 1e-4 * std::fabs(sum));  // sums of f32 in other orders
  });
}

TEST_F(Local, WhatDoesNotFitIsSaidNotTried) {
  LocalModel model(folder.path, {.context = 32});
  Request large = requests()[1];
  large.messages[0].content.assign(200, 'x');
  EXPECT_EQ(texts(model, {large}), (std::vector<std::string>{"|0|2"}));
  const ScoreRequest score = {{{"user", std::string(200, 'x')}}, "y"};
  model.score(std::span(&score, 1), [](std::size_t, const TextScore& s) { EXPECT_EQ(s.tokens, 0); });
  Request tight = requests()[1];  // its prompt fits, its answer does not
  tight.sampling.max_tokens = 100;
  std::vector<Reply> got;
  model.answer(std::span(&tight, 1), [&](std::size_t, const Reply& r) { got.push_back(r); });
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].end, ReplyEnd::length);
  EXPECT_LT(got[0].tokens, 32);
  EXPECT_THROW(LocalModel(pith::test::data_folder() / "models/stories260K/hf", {}), Error);  // no template
}

TEST_F(Local, ContrastWithoutWeightIsPlain) {
  LocalModel model(folder.path, {.slots = 4}), other(folder.path, {.slots = 6});
  std::vector<Request> plain = requests(), contrasted = plain, weighted = plain;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    contrasted[i].contrast = {{{"user", "Something else"}}, 0, 0};
    weighted[i].contrast = {{{"user", "Something else"}}, 2, 0.1};
  }
  const auto wanted = texts(model, plain);
  const auto got = texts(model, contrasted);
  for (std::size_t i = 0; i < plain.size(); i += 2) EXPECT_EQ(got[i], wanted[i]);  // the likeliest tokens
  const auto changed = texts(model, weighted);
  EXPECT_NE(changed, wanted);
  EXPECT_EQ(texts(other, weighted), changed);  // whoever else is there
}

TEST(ContrastLogits, AreLogPAndWhatItGains) {
  // p = 1/2, 1/4, 1/4 and q = 1/4, 1/2, 1/4, both with a shift that does not count.
  const std::vector<float> p = {std::log(0.5f) + 3, std::log(0.25f) + 3, std::log(0.25f) + 3};
  const std::vector<float> q = {std::log(0.25f) - 1, std::log(0.5f) - 1, std::log(0.25f) - 1};
  std::vector<float> out = q;
  contrast_logits(p, 1, 0, out);
  EXPECT_NEAR(out[0], 0, 1e-5);                   // ln 1/2 + ln 2
  EXPECT_NEAR(out[1], -3 * std::log(2.0), 1e-5);  // ln 1/4 - ln 2
  EXPECT_NEAR(out[2], -2 * std::log(2.0), 1e-5);
  out = q;
  contrast_logits(p, 0.5, 0.6, out);  // 1/4 is less than 0.6 of 1/2
  EXPECT_NEAR(out[0], -0.5 * std::log(2.0), 1e-5);
  EXPECT_LT(out[1], -1e20);
  EXPECT_LT(out[2], -1e20);
}

}  // namespace
}  // namespace pith::synth
