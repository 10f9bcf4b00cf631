#include "report/eval/tasks.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pith::report {
namespace {

using nlohmann::json;

TaskReport example() {
  TaskResult r;
  r.name = "piqa";
  r.form = "lm-evaluation-harness";
  r.version = "1.0";
  r.output_type = "multiple_choice";
  r.shots = 2;
  r.items_in_data = 1838;
  r.metrics = {{"acc", "none", 0.5, 0.25, true}, {"acc_norm", "none", 0.75, 0.125, true}};
  r.groups = {{"half", "", 2, {{"acc", "none", 1, 0, true}}}, {"quarter", "half", 1, {{"acc", "none", 1, 0, true}}}};
  r.items.resize(2);
  ItemResult& choice = r.items[0];
  choice.index = 4;
  choice.gold = 1;
  choice.prompt = "Question: \xff\"";
  choice.choices = {" a", " b"};
  choice.scores = {{-1.5, 1, true}, {-2.5, 2, false}};
  choice.values = {1, 1};
  ItemResult& context = r.items[1];
  context.prompts = {"x", "y"};
  context.choices = {" z"};
  context.scores = {{-1, 1, false}, {-2, 1, false}};
  context.values = {0, 0.5};
  TaskReport report{"m.gguf", "", {}, {r}, {}, {}, {}, {}};
  return report;
}

TEST(TaskReport, HasTheLayoutOfTheHarness) {
  const json out = json::parse(tasks_json(example()));
  EXPECT_EQ(out["results"]["piqa"]["acc,none"], 0.5);
  EXPECT_EQ(out["results"]["piqa"]["acc_stderr,none"], 0.25);
  EXPECT_EQ(out["results"]["piqa"]["acc_norm,none"], 0.75);
  EXPECT_EQ(out["results"]["piqa_half"]["acc,none"], 1);
  EXPECT_EQ(out["results"]["piqa"]["name"], "piqa");
  EXPECT_EQ(out["group_subtasks"], json({{"piqa", {"piqa_half"}}, {"piqa_half", {"piqa_quarter"}}}));
  EXPECT_EQ(out["groups"]["piqa_half"]["acc,none"], 1);
  EXPECT_FALSE(out["groups"].contains("piqa_quarter"));
  EXPECT_EQ(out["versions"]["piqa"], 1.0);
  EXPECT_EQ(out["n-shot"]["piqa"], 2);
  EXPECT_EQ(out["n-samples"]["piqa"]["original"], 1838);
  EXPECT_EQ(out["n-samples"]["piqa"]["effective"], 2);
  EXPECT_EQ(out["higher_is_better"]["piqa"]["acc"], true);
  EXPECT_EQ(out["configs"]["piqa"]["output_type"], "multiple_choice");
  EXPECT_EQ(out["configs"]["piqa"]["metric_list"][1]["aggregation"], "mean");
  EXPECT_EQ(out["config"]["model_args"]["pretrained"], "m.gguf");
  EXPECT_TRUE(out["total_evaluation_time_seconds"].is_string());
  EXPECT_FALSE(out.contains("flips"));
}

TEST(TaskReport, SaysWhatChangedAgainstTheBase) {
  TaskReport report = example();
  report.against = "base";
  report.base_results = report.results;
  report.flips = {{"piqa", 2, 1, 1, 0, 1}};
  const json out = json::parse(tasks_json(report));
  EXPECT_EQ(out["flips"]["piqa"]["changed"], 1);
  EXPECT_EQ(out["flips"]["piqa"]["lost"], 1);
  EXPECT_EQ(out["base_results"]["piqa"]["acc,none"], 0.5);
  const std::string text = tasks_text(report);
  EXPECT_NE(text.find("50.00 ± 49.00 %"), std::string::npos);  // 1.96 * 25 %
  EXPECT_NE(text.find("lost"), std::string::npos);
  EXPECT_FALSE(out.contains("verdicts"));
}

TEST(TaskReport, SaysWhatAJudgeFound) {
  TaskReport report = example();
  report.judge = "judge.gguf";
  report.verdicts = {{"vicuna", 8, 3, 1, 4, 2, 0.625, 0.125, 0.625, 0.25, 0.5, {1.5, -0.25}}};
  const json out = json::parse(tasks_json(report));
  EXPECT_EQ(out["judge"], "judge.gguf");
  EXPECT_EQ(out["verdicts"]["vicuna"]["won"], 3);
  EXPECT_EQ(out["verdicts"]["vicuna"]["share"], 0.625);
  EXPECT_EQ(out["verdicts"]["vicuna"]["preferences"], json({1.5, -0.25}));
  EXPECT_NE(tasks_text(report).find("vicuna, judged by judge.gguf: 3 won, 1 lost, 4 tied (2 of them the same answers); "
                                    "62.5 ± 24.5 % of 8 items"),
            std::string::npos);
}

TEST(TaskReport, SamplesAreALineEach) {
  const std::string text = samples_jsonl(example().results[0]);
  const auto end = text.find('\n');
  const json first = json::parse(text.substr(0, end)), second = json::parse(text.substr(end + 1));
  EXPECT_EQ(first["doc_id"], 4);
  EXPECT_EQ(first["arguments"]["gen_args_1"]["arg_1"], " b");
  EXPECT_EQ(first["arguments"]["gen_args_0"]["arg_0"], "Question: \xef\xbf\xbd\"");  // a broken byte is replaced
  EXPECT_EQ(first["resps"], json::parse(R"([[["-1.5", "True"]], [["-2.5", "False"]]])"));
  EXPECT_EQ(first["filtered_resps"], json::parse(R"([["-1.5", "True"], ["-2.5", "False"]])"));
  EXPECT_EQ(first["metrics"], json({"acc", "acc_norm"}));
  EXPECT_EQ(first["acc_norm"], 1);
  EXPECT_EQ(first["target"], "1");
  EXPECT_EQ(first["target_hash"], "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
  EXPECT_EQ(second["arguments"]["gen_args_1"]["arg_0"], "y");
  EXPECT_EQ(second["arguments"]["gen_args_1"]["arg_1"], " z");
}

}  // namespace
}  // namespace pith::report
