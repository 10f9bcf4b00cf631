#include "eval/likelihood/continuations.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "eval/likelihood/greedy_texts.h"
#include "eval/likelihood/pair_tokens.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr const char* kStories = "models/stories260K/stories260K-f32.gguf";

// Each continuation by itself from an empty cache, with its own log-softmax in double.
ContinuationScore slow_score(const Model& model, const Continuation& c) {
  Forward forward(model);
  KvCache cache(model.config(), 1, dim(c.tokens.size()));
  ContinuationScore score{0, true};
  const dim first = dim(c.tokens.size()) - c.scored;
  for (dim i = 0; i + 1 < dim(c.tokens.size()); ++i) {
    const auto logits = forward.next(cache, std::span(c.tokens).subspan(std::size_t(i), 1));
    if (i + 1 < first) continue;
    const auto target = std::size_t(c.tokens[std::size_t(i) + 1]);
    double sum = 0;
    for (const float x : logits) sum += std::exp(double(x) - double(logits[target]));
    score.logprob -= std::log(sum);
    for (const float x : logits) score.greedy = score.greedy && x <= logits[target];
  }
  return score;
}

std::vector<std::vector<Continuation>> some_documents(const Model& model) {
  std::vector<std::vector<Continuation>> documents;
  for (const char* context : {"Once upon a time, there was a little girl named", "Once upon a time, there was a big",
                              "Tom and his mom went to the park to play with the"})
    for (const int repeat : {0, 1}) {
      documents.emplace_back();
      for (const char* choice : {" Lily", " Lily. She loved to play", " dog", " ball", " Lily. She loved to"})
        documents.back().push_back(
            encode_pair(model.tokenizer(), std::string(repeat ? "One day, " : "") + context, choice, 0).continuation);
    }
  return documents;
}

TEST(Likelihoods, AreThoseOfEachContinuationByItself) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const auto documents = some_documents(model);
  for (const dim batch_tokens : {1, 60, 2048}) {
    LikelihoodOptions options;
    options.batch_tokens = batch_tokens;
    Likelihoods engine(model, options);
    const auto scores = engine.score(documents);
    dim whole = 0;
    bool any_greedy = false;
    for (std::size_t d = 0; d < documents.size(); ++d)
      for (std::size_t c = 0; c < documents[d].size(); ++c) {
        const ContinuationScore want = slow_score(model, documents[d][c]);
        // f32 sums in another order: far below this for a handful of tokens
        EXPECT_NEAR(scores[d][c].logprob, want.logprob, 2e-4);
        EXPECT_EQ(scores[d][c].greedy, want.greedy);
        any_greedy = any_greedy || want.greedy;
        whole += dim(documents[d][c].tokens.size()) - 1;
      }
    EXPECT_TRUE(any_greedy);
    EXPECT_LT(engine.tokens_run(), whole / 2);  // contexts were shared
  }
}

TEST(Likelihoods, AnEncodedCacheIsSharedTheSameWay) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const auto documents = some_documents(model);
  LikelihoodOptions options;
  options.kv = KvSpec("int8");
  const auto scores = Likelihoods(model, options).score(documents);
  for (std::size_t d = 0; d < documents.size(); ++d)
    for (std::size_t c = 0; c < documents[d].size(); ++c) {
      Forward forward(model);
      const Continuation& one = documents[d][c];
      KvCache cache(model.config(), 1, dim(one.tokens.size()), *options.kv);
      double logprob = 0;
      dim at = 0;
      const dim inputs = dim(one.tokens.size()) - 1;
      const Chunk chunk = {0, std::span(one.tokens).first(std::size_t(inputs)), inputs - one.scored};
      forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
        for (dim r = 0; r < rows; ++r, ++at) {
          const float* row = logits + r * model.config().vocab;
          const Token target = one.tokens[std::size_t(inputs - one.scored + at + 1)];
          double sum = 0;
          for (dim v = 0; v < model.config().vocab; ++v) sum += std::exp(double(row[v]) - double(row[target]));
          logprob -= std::log(sum);
        }
      });
      EXPECT_NEAR(scores[d][c].logprob, logprob, 2e-4);
    }
}

TEST(Likelihoods, AreTheSameBitsForAnyNumberOfThreads) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const auto documents = some_documents(model);
  const int before = num_threads();
  set_num_threads(1);
  const auto one = Likelihoods(model, {}).score(documents);
  set_num_threads(3);
  const auto three = Likelihoods(model, {}).score(documents);
  set_num_threads(before);
  for (std::size_t d = 0; d < one.size(); ++d)
    for (std::size_t c = 0; c < one[d].size(); ++c) EXPECT_EQ(one[d][c].logprob, three[d][c].logprob);
}

TEST(Likelihoods, TokensOutsideTheVocabularyAreRefused) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  Likelihoods engine(model, {});
  const std::vector<std::vector<Continuation>> bad = {{{{1, 512}, 1}}};
  EXPECT_THROW((void)engine.score(bad), Error);
}

TEST(GreedyTexts, AreTheLikeliestTokensOneByOne) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const std::vector<std::string> texts = {"Once upon a time, there was a", "Once upon a time, there was a little",
                                          "Once upon a time, Tom"};
  std::vector<std::vector<Token>> prompts;
  for (const auto& text : texts) prompts.push_back(model.tokenizer().encode(text));
  Likelihoods engine(model, {});
  const auto answers = greedy_texts(engine, prompts, {.until = {}, .max_tokens = 24, .ignore_end = true});
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Forward forward(model);
    KvCache cache(model.config(), 1, 256);
    std::vector<Token> next = prompts[i], made;
    while (made.size() < 24) {
      const auto logits = forward.next(cache, next);
      next = {Token(std::max_element(logits.begin(), logits.end()) - logits.begin())};
      made.push_back(next[0]);
    }
    EXPECT_EQ(answers[i].tokens, made);
  }
  const auto stopped = greedy_texts(engine, prompts, {.until = {"."}, .max_tokens = 100});
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(stopped[i].text.find('.'), std::string::npos);
    EXPECT_EQ(answers[i].text.substr(0, stopped[i].text.size()), stopped[i].text);
  }
}

// Ids as Hugging Face's tokenizers gives them.
TEST(TokenPairs, SpacesGoWithTheContinuation) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const Tokenizer& tokenizer = model.tokenizer();
  const TokenPair plain = encode_pair(tokenizer, "Once upon a time there was a little", " girl", 0);
  EXPECT_EQ(plain.continuation.tokens, (std::vector<Token>{1, 403, 407, 261, 378, 383, 286, 261, 376, 298, 315, 421}));
  EXPECT_EQ(plain.continuation.scored, 3);
  const TokenPair spaces = encode_pair(tokenizer, "Once upon a time  ", " girl", 0);
  EXPECT_EQ(spaces.continuation.tokens, (std::vector<Token>{1, 403, 407, 261, 378, 410, 410, 298, 315, 421}));
  EXPECT_EQ(spaces.continuation.scored, 5);
  const TokenPair cut = encode_pair(tokenizer, "Once upon a time there was a little", " girl", 5);
  EXPECT_EQ(cut.continuation.tokens, (std::vector<Token>{286, 261, 376, 298, 315, 421}));
  EXPECT_TRUE(cut.truncated);
  EXPECT_FALSE(plain.truncated);
  const TokenPair empty = encode_pair(tokenizer, "", "Lily", 0);
  EXPECT_EQ(empty.continuation.tokens, (std::vector<Token>{1, 317}));
  EXPECT_EQ(empty.continuation.scored, 1);
  EXPECT_THROW((void)encode_pair(tokenizer, "Once", "", 0), Error);
  EXPECT_THROW((void)encode_pair(tokenizer, "Once", " upon a time there was a little girl", 3), Error);
}

TEST(TokenPairs, WhiteSpaceIsThatOfUnicode) {
  EXPECT_EQ(stripped_size("a b \t\r\n"), 3u);
  EXPECT_EQ(stripped_size("a\xc2\xa0\xe2\x80\x83\x1f"), 1u);  // no-break space, em space, unit separator
  EXPECT_EQ(stripped_size("a\xe2\x80"), 3u);                  // broken UTF-8 is no space
  EXPECT_EQ(stripped_size(" \n"), 0u);
}

}  // namespace
}  // namespace pith
