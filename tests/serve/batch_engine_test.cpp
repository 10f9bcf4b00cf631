#include "serve/batch/batch_engine.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr std::chrono::milliseconds kMoment(50);

struct Answered {
  std::string text, error;
  std::vector<Token> tokens;
  std::vector<TokenScore> scores, prompt_scores;
  std::optional<TokenScore> end_score;
  TicketState state = TicketState::waiting;
  StopReason reason = StopReason::max_tokens;
  bool server_stopped = false;
  dim reused = 0;
};

Answered wait_for(Ticket& ticket) {
  Answered all;
  for (int i = 0; i < 2000; ++i) {
    TicketNews news = ticket.wait(kMoment);
    all.text += news.text;
    all.tokens.insert(all.tokens.end(), news.tokens.begin(), news.tokens.end());
    all.scores.insert(all.scores.end(), news.scores.begin(), news.scores.end());
    all.prompt_scores.insert(all.prompt_scores.end(), news.prompt_scores.begin(), news.prompt_scores.end());
    if (news.end_score) all.end_score = news.end_score;
    all.state = news.state;
    all.reason = news.reason;
    all.error = news.error;
    all.server_stopped = news.server_stopped;
    all.reused = news.reused_tokens;
    if (news.ended()) return all;
  }
  ADD_FAILURE() << "no end after 100 seconds";
  return all;
}

class Batch : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = test::data_folder() / "models/stories260K/stories260K-f32.gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no test data at " << path;
    model.emplace(Model::open(path));
  }
  BatchRequest request(const std::string& text, dim max_tokens, double temperature = 0) const {
    BatchRequest r;
    r.prompt = model->tokenizer().encode(text);
    r.options.max_tokens = max_tokens;
    r.options.sampler.temperature = temperature;
    r.options.sampler.seed = 5;
    return r;
  }
  std::optional<Model> model;
};

const std::vector<std::string> kPrompts = {"Once upon a time",
                                           "The dog",
                                           "Lily and Tom went to the park. They",
                                           "One day, a girl named Lily found a needle in her room. She knew it was",
                                           "A big",
                                           "Tim had a red ball. He liked to"};

TEST_F(Batch, EachGetsWhatItWouldGetAlone) {
  BatchEngine engine(*model, {.slots = 4, .context = 128, .prompt_piece = 7});
  std::vector<std::shared_ptr<Ticket>> tickets;
  for (const std::string& p : kPrompts) tickets.push_back(engine.submit(request(p, 40)));
  for (std::size_t i = 0; i < kPrompts.size(); ++i) {
    const Answered got = wait_for(*tickets[i]);
    EXPECT_EQ(got.state, TicketState::done) << got.error;
    const BatchRequest r = request(kPrompts[i], 40);
    const GenerateResult alone = generate(*model, r.prompt, r.options, [](std::string_view) { return true; });
    EXPECT_EQ(got.text, alone.text);
    EXPECT_EQ(got.tokens, alone.tokens);
    EXPECT_EQ(got.reason, alone.reason);
  }
}

// Not one bit of a log-probability depends on who else is there, or on how the prompt was cut.
TEST_F(Batch, BatchMatesChangeNoBit) {
  std::vector<std::vector<Answered>> runs;
  for (const bool crowded : {false, true}) {
    BatchEngine engine(*model, {.slots = 8, .context = 128, .prompt_piece = crowded ? 5 : 200});
    std::vector<std::shared_ptr<Ticket>> tickets;
    std::vector<Answered> answers;
    for (const std::string& p : kPrompts) {
      BatchRequest r = request(p, 30, 0.8);
      r.options.logprobs = 2;
      r.score_prompt = true;
      tickets.push_back(engine.submit(r));
      if (!crowded) answers.push_back(wait_for(*tickets.back()));
    }
    if (crowded)
      for (auto& ticket : tickets) answers.push_back(wait_for(*ticket));
    runs.push_back(answers);
  }
  for (std::size_t i = 0; i < kPrompts.size(); ++i) {
    const Answered &a = runs[0][i], &b = runs[1][i];
    EXPECT_EQ(a.tokens, b.tokens);
    ASSERT_EQ(a.prompt_scores.size(), request(kPrompts[i], 1).prompt.size() - 1);
    ASSERT_EQ(b.prompt_scores.size(), a.prompt_scores.size());
    ASSERT_EQ(b.scores.size(), a.scores.size());
    for (std::size_t k = 0; k < a.scores.size(); ++k) EXPECT_EQ(a.scores[k].logprob, b.scores[k].logprob);
    for (std::size_t k = 0; k < a.prompt_scores.size(); ++k) {
      EXPECT_EQ(a.prompt_scores[k].token, request(kPrompts[i], 1).prompt[k + 1]);
      EXPECT_EQ(a.prompt_scores[k].logprob, b.prompt_scores[k].logprob);
      EXPECT_EQ(a.prompt_scores[k].likeliest.size(), 2u);
    }
  }
}

TEST_F(Batch, PromptsInTheCacheAreNotReadAgain) {
  BatchEngine engine(*model, {.slots = 2, .context = 128});
  const Answered first = wait_for(*engine.submit(request(kPrompts[3], 20)));
  EXPECT_EQ(first.reused, 0);
  const Answered again = wait_for(*engine.submit(request(kPrompts[3], 20)));
  EXPECT_EQ(again.reused, dim(request(kPrompts[3], 1).prompt.size()) - 1);
  EXPECT_EQ(again.tokens, first.tokens);
}

// The token that ends an answer is no part of it, but who asked for scores is told its, too.
TEST_F(Batch, TheEndHasAScore) {
  BatchEngine engine(*model, {.slots = 2, .context = 64});
  BatchRequest r = request("Once upon a time", 1);
  r.options.logprobs = 1;
  const Answered shown = wait_for(*engine.submit(r));
  ASSERT_EQ(shown.scores.size(), 1u);
  EXPECT_FALSE(shown.end_score);
  r.options.stop_tokens = {shown.tokens[0]};
  const Answered ended = wait_for(*engine.submit(r));
  EXPECT_EQ(ended.reason, StopReason::stop_token);
  EXPECT_TRUE(ended.scores.empty());
  ASSERT_TRUE(ended.end_score);
  EXPECT_EQ(ended.end_score->token, shown.tokens[0]);
  EXPECT_EQ(ended.end_score->logprob, shown.scores[0].logprob);
}

TEST_F(Batch, EndsWhereItShall) {
  BatchEngine engine(*model, {.slots = 2, .context = 32});
  BatchRequest stops = request("Once upon a time", 60);
  stops.options.stop_strings = {"named"};
  EXPECT_EQ(wait_for(*engine.submit(stops)).text, ", there was a little girl ");
  const Answered full = wait_for(*engine.submit(request("Once upon a time", 60)));
  EXPECT_EQ(full.reason, StopReason::context_full);
  EXPECT_EQ(full.tokens.size() + request("Once upon a time", 1).prompt.size(), 32u);
  const Answered none = wait_for(*engine.submit(request("Once upon a time", 0)));
  EXPECT_EQ(none.state, TicketState::done);
  EXPECT_TRUE(none.tokens.empty());
  EXPECT_THROW(engine.submit(request(kPrompts[3] + kPrompts[3], 5)), Error);
  BatchRequest bad = request("x", 5);
  bad.prompt.push_back(512);
  EXPECT_THROW(engine.submit(bad), Error);
  bad = request("x", 5);
  bad.options.sampler.top_p = 2;
  EXPECT_THROW(engine.submit(bad), Error);
}

TEST_F(Batch, TooLongAnswersAreCutOff) {
  BatchEngine engine(*model, {.slots = 1, .context = 4000, .max_seconds = 0.2});
  BatchRequest r = request("Once upon a time", 3900);
  r.options.ignore_end = true;
  const Answered got = wait_for(*engine.submit(r));
  EXPECT_EQ(got.state, TicketState::done);
  EXPECT_EQ(got.reason, StopReason::interrupted);
  EXPECT_FALSE(got.tokens.empty());
}

TEST_F(Batch, QueuesAreBoundedAndThoseWhoLeaveMakeRoom) {
  BatchEngine engine(*model, {.slots = 1, .context = 100000, .waiting = 2});
  BatchRequest endless = request("Once upon a time", 90000);
  endless.options.ignore_end = true;
  const auto running = engine.submit(endless);
  while (running->wait(kMoment).state != TicketState::running) {
  }
  const auto second = engine.submit(request("The dog", 5)), third = engine.submit(endless);
  ASSERT_TRUE(second && third);
  EXPECT_FALSE(engine.submit(endless));
  third->cancel();
  running->cancel();
  EXPECT_EQ(wait_for(*second).tokens.size(), 5u);
  for (int i = 0; i < 100 && engine.counts().cancelled < 2; ++i) std::this_thread::sleep_for(kMoment);
  const BatchCounts counts = engine.counts();
  EXPECT_EQ(counts.cancelled, 2);
  EXPECT_EQ(counts.refused, 1);
  EXPECT_EQ(counts.accepted, 3);
  EXPECT_EQ(counts.finished, 1);
}

TEST_F(Batch, StoppingLetsTheShortFinishAndTellsTheLong) {
  BatchEngine engine(*model, {.slots = 2, .context = 200000});
  BatchRequest endless = request("Once upon a time", 190000);
  endless.options.ignore_end = true;
  const auto small = engine.submit(request("The dog", 5)), large = engine.submit(endless);
  engine.stop(4);
  EXPECT_EQ(wait_for(*small).state, TicketState::done);
  const Answered told = wait_for(*large);
  EXPECT_EQ(told.state, TicketState::failed);
  EXPECT_TRUE(told.server_stopped);
  EXPECT_FALSE(engine.submit(request("The dog", 5)));
}

}  // namespace
}  // namespace pith
