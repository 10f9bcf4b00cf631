// Sessions: what stays in the cache changes nothing but the time, and drafts change nothing at all.
#include "serve/session.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "model/forward.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

const TextSink kIgnore = [](std::string_view) { return true; };

std::string text_of(Session& session, const std::vector<Token>& prompt, const GenerateOptions& options = {}) {
  return session.generate(prompt, options, kIgnore).text;
}

TEST(Session, GoesOnFromWhatItKnows) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const auto story = model.tokenizer().encode("Once upon a time, there was a"),
             other = model.tokenizer().encode("Once upon a day");
  Session session(model, {.context = 200});
  const GenerateResult first = session.generate(story, {.max_tokens = 40}, kIgnore);
  EXPECT_EQ(first.reused_tokens, 0);
  std::vector<Token> longer = story;
  longer.insert(longer.end(), first.tokens.begin(), first.tokens.end());
  // All but the last token lies in the cache, and that one is read again for its logits.
  const GenerateResult second = session.generate(longer, {.max_tokens = 40}, kIgnore);
  EXPECT_EQ(second.reused_tokens, dim(longer.size()) - 1);
  EXPECT_EQ(second.text, generate(model, longer, {.max_tokens = 40}, kIgnore).text);
  const GenerateResult third = session.generate(other, {.max_tokens = 40}, kIgnore);
  EXPECT_GT(third.reused_tokens, 0);
  EXPECT_LT(third.reused_tokens, dim(other.size()));
  EXPECT_EQ(third.text, generate(model, other, {.max_tokens = 40}, kIgnore).text);
}

TEST(Session, EncodedCachesStartAnewRatherThanForgetInexactly) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const auto a = model.tokenizer().encode("Once upon a time, there was a"),
             b = model.tokenizer().encode("Once upon a day");
  const SessionOptions options = {.context = 200, .kv = KvSpec("int8")};
  Session session(model, options), fresh(model, options);
  text_of(session, a, {.max_tokens = 40});
  const GenerateResult again = session.generate(b, {.max_tokens = 40}, kIgnore);
  EXPECT_EQ(again.reused_tokens, 0);
  EXPECT_EQ(again.text, text_of(fresh, b, {.max_tokens = 40}));
}

TEST(Session, AFullContextForgetsTheMiddle) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const auto prompt = model.tokenizer().encode("Once upon a time");
  Session session(model, {.context = 32});
  const GenerateOptions options = {.max_tokens = 80, .ignore_end = true, .shift = true, .keep = 4};
  const GenerateResult result = session.generate(prompt, options, kIgnore);
  EXPECT_EQ(result.tokens.size(), 80u);
  EXPECT_EQ(result.reason, StopReason::max_tokens);
  // 5 tokens of prompt and 80 of the answer: full at 32, then each time 14 of the 28 that are not kept go.
  EXPECT_EQ(result.prompt_tokens, 5);
  EXPECT_EQ(result.shifts, 4);
  // After a shift the model reads what is left as if nothing else had ever been: a session that starts there agrees.
  std::vector<Token> all = prompt;
  all.insert(all.end(), result.tokens.begin(), result.tokens.end());
  std::vector<Token> left(all.begin(), all.begin() + 4);
  left.insert(left.end(), all.begin() + 18, all.begin() + 32);
  Session other(model, {.context = 32});
  const auto expected = other.generate(left, {.max_tokens = 14, .ignore_end = true}, kIgnore).tokens;
  EXPECT_EQ(std::vector<Token>(all.begin() + 32, all.begin() + 46), expected);
}

TEST(Session, GreedyDraftsChangeNothing) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(half, "models/stories260K/stories260K-f16.gguf");
  const Model model = Model::open(path), draft = Model::open(half);
  for (const char* text : {"Once upon a time", "The dog", "Lily and Tom went to the"}) {
    const auto prompt = model.tokenizer().encode(text);
    const GenerateResult plain = generate(model, prompt, {.max_tokens = 70}, kIgnore);
    for (const dim guesses : {1, 3, 8}) {
      const GenerateResult drafted =
          generate(model, prompt, {.max_tokens = 70}, kIgnore, {.draft = &draft, .draft_tokens = guesses});
      EXPECT_EQ(drafted.tokens, plain.tokens) << text;
      EXPECT_GT(drafted.accepted, drafted.drafted / 2);  // the two agree mostly
      EXPECT_LE(drafted.accepted, drafted.drafted);
    }
  }
}

// A draft that is mostly wrong must do no harm either: here one that always begins its own text.
TEST(Session, WrongGuessesAreForgotten) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const auto prompt = model.tokenizer().encode("Once upon a time");
  const GenerateOptions drawn = {
      .max_tokens = 60, .sampler = {.temperature = 1.5, .seed = 3}, .shift = true, .keep = 2};
  Session session(model, {.context = 48, .draft = &model, .draft_tokens = 5});
  const GenerateResult result = session.generate(prompt, drawn, kIgnore);
  EXPECT_EQ(result.tokens.size(), 60u);
  EXPECT_GE(result.shifts, 1);
  EXPECT_EQ(session.generate(prompt, {.max_tokens = 20}, kIgnore).text,
            generate(model, prompt, {.max_tokens = 20}, kIgnore).text);
}

TEST(Session, DraftsOfAnotherVocabularyAreRefused) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(other, "models/babyllama_tok105");
  const Model model = Model::open(path);
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::directory_iterator(other))
    if (entry.path().extension() == ".gguf") file = entry.path();
  if (file.empty()) GTEST_SKIP() << "no gguf in " << other;
  const Model draft = Model::open(file);
  try {
    Session(model, {.context = 32, .draft = &draft});
    FAIL() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("expected 512 tokens, got 105"), std::string::npos) << e.what();
  }
  EXPECT_THROW(Session(model, {.context = 32, .kv = KvSpec("int8"), .draft = &model}), Error);
}

TEST(Session, GivesTheProbabilitiesOfItsTokens) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const auto prompt = model.tokenizer().encode("Once upon a time");
  const GenerateResult r = generate(model, prompt, {.max_tokens = 5, .logprobs = 3}, kIgnore);
  ASSERT_EQ(r.scores.size(), r.tokens.size());
  Forward forward(model);
  KvCache cache(model.config(), 1, 16);
  std::vector<Token> text = prompt;
  auto logits = forward.next(cache, prompt);
  for (std::size_t i = 0; i < r.tokens.size(); ++i) {
    double sum = 0;
    for (const float x : logits) sum += std::exp(double(x));
    EXPECT_EQ(r.scores[i].token, r.tokens[i]);
    // Logits of size 10 in float: 1e-6 of rounding each.
    EXPECT_NEAR(r.scores[i].logprob, double(logits[std::size_t(r.tokens[i])]) - std::log(sum), 1e-4);
    ASSERT_EQ(r.scores[i].likeliest.size(), 3u);
    EXPECT_EQ(r.scores[i].likeliest[0].token, r.tokens[i]);  // greedy
    EXPECT_GE(r.scores[i].likeliest[1].logprob, r.scores[i].likeliest[2].logprob);
    logits = forward.next(cache, {&r.tokens[i], 1});
  }
}

TEST(Session, AnInterruptedPromptEndsTheAnswer) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const std::atomic<bool> now = true;
  const auto prompt = model.tokenizer().encode("Once upon a time");
  Session session(model, {.context = 100});
  const GenerateResult result = session.generate(prompt, {.interrupted = &now}, kIgnore);
  EXPECT_EQ(result.reason, StopReason::interrupted);
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(text_of(session, prompt, {.max_tokens = 20}), generate(model, prompt, {.max_tokens = 20}, kIgnore).text);
}

}  // namespace
}  // namespace pith
