#include "eval/tasks/run_tasks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "eval/tasks/metrics.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

constexpr const char* kStories = "models/stories260K/stories260K-f32.gguf";
const std::filesystem::path kSamples = std::filesystem::path(PITH_SOURCE_DIR) / "tests/eval/tasks/samples";

TaskOptions samples() {
  TaskOptions options;
  options.data = kSamples;
  return options;
}

Document choices_document(std::vector<std::string> choices, int gold) {
  Document d;
  d.choices = std::move(choices);
  d.gold = gold;
  return d;
}

TEST(TaskMetrics, OfChoices) {
  const Document d = choices_document({"ab", "\xc3\xa9\xc3\xa9\xc3\xa9", "abcdefgh"}, 1);
  const std::vector<ChoiceScore> scores = {{-2.0, 1, false}, {-3.3, 2, false}, {-9.0, 4, false}};
  const Answer answer{scores, ""};
  EXPECT_EQ(metric_acc.of_item(d, answer), 0);        // -2 is the largest
  EXPECT_EQ(metric_acc_norm.of_item(d, answer), 0);   // by characters: -1, -1.1, -1.125
  EXPECT_EQ(metric_acc_bytes.of_item(d, answer), 1);  // by bytes: -1, -0.55, -1.125
  Document several = d;
  several.right = {1, 0, 1};
  const double a = std::exp(-2.0), b = std::exp(-3.3), c = std::exp(-9.0);
  EXPECT_NEAR(metric_mass_of_right.of_item(several, answer), (a + c) / (a + b + c), 1e-15);
  const std::vector<ChoiceScore> equal = {{-1, 1, false}, {-1, 1, false}, {-1, 1, false}};
  EXPECT_EQ(metric_acc.of_item(choices_document({"a", "b", "c"}, 0), {equal, ""}), 1);  // the first among equals
}

TEST(TaskMetrics, OverItems) {
  const std::vector<double> right = {1, 0, 1, 1};
  const TaskMetric acc = aggregate(metric_acc, right);
  EXPECT_DOUBLE_EQ(acc.value, 0.75);
  EXPECT_DOUBLE_EQ(acc.standard_error, std::sqrt(0.75 / 3 / 4));  // sum of squares 0.75, n - 1 = 3
  const std::vector<double> logprobs = {-1, -3};
  const TaskMetric ppl = aggregate(metric_perplexity, logprobs);
  EXPECT_DOUBLE_EQ(ppl.value, std::exp(2.0));
  EXPECT_DOUBLE_EQ(ppl.standard_error, std::exp(2.0) * 1.0);
  EXPECT_FALSE(ppl.higher_is_better);
}

TEST(Flips, McNemarsTestIsExact) {
  EXPECT_DOUBLE_EQ(mcnemar_p_value(0, 0), 1);
  EXPECT_DOUBLE_EQ(mcnemar_p_value(5, 5), 1);
  EXPECT_NEAR(mcnemar_p_value(1, 9), 2 * (1 + 10) / 1024.0, 1e-14);
  EXPECT_NEAR(mcnemar_p_value(0, 6), 2 / 64.0, 1e-15);
}

TEST(RunTasks, StoriesGoOnAsTheModelHasLearned) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const std::vector<std::string> names = {(kSamples / "own/stories.jsonl").string()};
  const TaskResult r = run_tasks(model, names, samples())[0];
  ASSERT_EQ(r.items.size(), 2u);
  EXPECT_TRUE(r.items[0].correct);
  EXPECT_FALSE(r.items[1].correct);
  EXPECT_DOUBLE_EQ(r.metrics[0].value, 0.5);
  EXPECT_DOUBLE_EQ(r.metrics[1].value, std::exp(-(r.items[0].scores[0].logprob + r.items[1].scores[0].logprob) / 2));
  EXPECT_EQ(r.output_type, "loglikelihood");
  EXPECT_TRUE(r.items[0].prompt.empty());
}

TEST(RunTasks, EveryKindRunsAndIsTheSameForAnyNumberOfThreads) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const std::vector<std::string> names = {"piqa",      "winogrande",     "lambada",
                                          "hellaswag", "truthfulqa_mc2", (kSamples / "own/longbench.jsonl").string(),
                                          "mmlu"};
  TaskOptions options = samples();
  options.shots = 0;
  options.keep_text = true;
  const int before = num_threads();
  set_num_threads(1);
  const auto one = run_tasks(model, names, options);
  set_num_threads(3);
  const auto three = run_tasks(model, names, options);
  set_num_threads(before);
  ASSERT_EQ(one.size(), names.size());
  for (std::size_t t = 0; t < one.size(); ++t) {
    ASSERT_FALSE(one[t].items.empty());
    for (std::size_t i = 0; i < one[t].items.size(); ++i) {
      EXPECT_EQ(one[t].items[i].values, three[t].items[i].values);
      EXPECT_EQ(one[t].items[i].text, three[t].items[i].text);
      for (const ChoiceScore& s : one[t].items[i].scores) EXPECT_LT(s.logprob, 0);
    }
    const TaskFlips flips = compare_answers(one[t], three[t]);
    EXPECT_EQ(flips.changed, 0);
    EXPECT_EQ(flips.items, dim(one[t].items.size()));
  }
  EXPECT_EQ(one[1].items[0].prompts.size(), 2u);
  const TaskResult& mmlu = one[6];
  ASSERT_EQ(mmlu.groups.size(), 2u);
  EXPECT_EQ(mmlu.groups[0].name, "stem");
  EXPECT_EQ(mmlu.groups[1].name, "toy_science");
  EXPECT_EQ(mmlu.groups[1].metrics[0].value, mmlu.metrics[0].value);
  EXPECT_THROW((void)compare_answers(one[0], one[1]), Error);
}

TEST(RunTasks, FlipsAreCountedBothWays) {
  TaskResult model, base;
  model.name = base.name = "t";
  const auto item = [](int answer, bool correct) {
    ItemResult r;
    r.answer = answer;
    r.correct = correct;
    return r;
  };
  base.items = {item(0, true), item(1, false), item(2, false), item(3, true)};
  model.items = {item(1, false), item(0, true), item(3, false), item(3, true)};
  const TaskFlips f = compare_answers(model, base);
  EXPECT_EQ(f.changed, 3);
  EXPECT_EQ(f.lost, 1);
  EXPECT_EQ(f.gained, 1);
  model.items[0].hash = "other";
  EXPECT_THROW((void)compare_answers(model, base), Error);
}

TEST(RunTasks, LimitsCountForEachGroup) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  TaskOptions options = samples();
  options.limit = 1;
  const std::vector<std::string> names = {"passkey"};
  const TaskResult r = run_tasks(model, names, options)[0];  // a context of 512 has room for keys in 256
  ASSERT_EQ(r.items.size(), 1u);
  EXPECT_EQ(r.groups[0].name, "256_tokens");
  EXPECT_EQ(r.items_in_data, 20);
  EXPECT_EQ(r.items[0].target.size(), 5u);
}

TEST(RunTasks, UnknownNamesListTheTasks) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  const std::vector<std::string> names = {"piqa", "pika"};
  try {
    (void)run_tasks(model, names, samples());
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("winogrande"), std::string::npos);
  }
}

}  // namespace
}  // namespace pith
