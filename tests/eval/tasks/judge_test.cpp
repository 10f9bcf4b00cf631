#include "eval/tasks/judge.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "model/forward.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr const char* kStories = "models/stories260K/stories260K-f32.gguf";

// A run of one task with these answers.
TaskResult answers(const std::vector<std::string>& texts) {
  TaskResult r;
  r.name = "talk";
  r.output_type = "generate_until";
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ItemResult item;
    item.id = item.hash = std::to_string(i);
    item.prompt = "What did Lily see in the " + std::to_string(i) + "th tree?";
    item.text = texts[i];
    r.items.push_back(item);
  }
  return r;
}

// The slow, obvious way: the whole text through the model, the last logits' two letters.
double letter_margin(const Model& judge, const ItemResult& item, const std::string& a, const std::string& b) {
  double logprob[2];
  for (const int letter : {0, 1}) {
    const std::vector<Token> before = judge.tokenizer().encode(judging_prompt(item.prompt, a, b)),
                             all = judge.tokenizer().encode(judging_prompt(item.prompt, a, b) + (letter ? " B" : " A"));
    Forward forward(judge);
    KvCache cache(judge.config(), 1, dim(all.size()));
    const Chunk chunk = {0, all, 0};
    std::vector<float> logits;
    forward.run(cache, {&chunk, 1}, [&](dim, const float* rows, dim n) {
      logits.insert(logits.end(), rows, rows + n * judge.config().vocab);
    });
    logprob[letter] = 0;
    for (std::size_t at = before.size(); at < all.size(); ++at) {
      const float* row = logits.data() + (at - 1) * std::size_t(judge.config().vocab);
      double sum = 0;
      for (dim v = 0; v < judge.config().vocab; ++v) sum += std::exp(double(row[v]));
      logprob[letter] += double(row[all[at]]) - std::log(sum);
    }
  }
  return logprob[0] - logprob[1];
}

TEST(Judge, AsksInBothOrdersAndCountsTiesAsHalves) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const TaskResult own = answers({"A bird sang.", "same", "She saw a big red ball.", "x x x x", "The end."}),
                   base = answers({"xq zq", "same", "No.", "Lily saw a cat.", "The sun."});
  Likelihoods judge(model, {});
  const TaskVerdicts v = judge_answers(judge, own, base);
  dim won = 0, lost = 0;
  for (std::size_t i = 0; i < own.items.size(); ++i) {
    const ItemResult &a = own.items[i], &b = base.items[i];
    if (a.text == b.text) {
      EXPECT_EQ(v.preferences[i], 0);
      continue;
    }
    const double first = letter_margin(model, a, a.text, b.text), second = -letter_margin(model, a, b.text, a.text);
    EXPECT_NEAR(v.preferences[i], (first + second) / 2, 1e-4);
    won += first > 0 && second > 0;
    lost += first < 0 && second < 0;
  }
  EXPECT_EQ(v.items, 5);
  EXPECT_EQ(v.won, won);
  EXPECT_EQ(v.lost, lost);
  EXPECT_EQ(v.tied, 5 - won - lost);
  EXPECT_EQ(v.same, 1);
  EXPECT_DOUBLE_EQ(v.share, (double(won) + double(5 - won - lost) / 2) / 5);
  double sum = 0;
  for (const double preference : v.preferences) sum += preference;
  EXPECT_NEAR(v.preference, sum / 5, 1e-12);
  EXPECT_GT(v.preference_error, 0);
  const TaskVerdicts back = judge_answers(judge, base, own);
  EXPECT_EQ(back.won, v.lost);
  EXPECT_EQ(back.lost, v.won);
  for (std::size_t i = 0; i < own.items.size(); ++i) EXPECT_NEAR(back.preferences[i], -v.preferences[i], 1e-12);
}

TEST(Judge, RefusesWhatItCannotCompare) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  Likelihoods judge(model, {});
  const TaskResult own = answers({"a", "b"});
  TaskResult other = answers({"a"});
  EXPECT_THROW(judge_answers(judge, own, other), Error);
  other = answers({"a", "c"});
  other.items[1].hash = "another";
  EXPECT_THROW(judge_answers(judge, own, other), Error);
  TaskResult choices = answers({"a", "c"});
  choices.output_type = "multiple_choice";
  EXPECT_THROW(judge_answers(judge, choices, own), Error);
  TaskResult silent = own;
  silent.items[0].prompt.clear();
  EXPECT_THROW(judge_answers(judge, silent, own), Error);
  std::string text;
  for (int i = 0; i < 600; ++i) text += "Once upon a time ";
  EXPECT_THROW(judge_answers(judge, answers({text, "b"}), own), Error);
}

}  // namespace
}  // namespace pith
