// pith eval --tasks, on a small trained model and small files.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

const std::string kSamples = PITH_SOURCE_DIR "/tests/eval/tasks/samples";

TEST(EvalTasks, AgainstABaseWithSamples) {
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(base, "models/stories260K/hf");
  const TempFolder folder;
  const auto samples = folder.path / "samples.jsonl";
  const std::string command = "eval " + shell_quote(model.string()) + " --task-data " + shell_quote(kSamples) +
                              " --tasks piqa,winogrande," + shell_quote(kSamples + "/own/stories.jsonl");
  const Ran ran = run_pith(command + " --against " + shell_quote(base.string()) + " --log-samples " +
                           shell_quote(samples.string()) + " --json");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const json out = json::parse(ran.out);
  EXPECT_EQ(out["results"]["stories"]["acc,none"], 0.5);
  EXPECT_EQ(out["base_results"]["stories"]["acc,none"], 0.5);  // the same weights
  EXPECT_EQ(out["flips"]["stories"]["changed"], 0);
  const std::string lines = read_file(samples);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4);
  const auto logs = folder.path / "logs";
  ASSERT_EQ(run_pith(command + " --log-samples " + shell_quote(logs.string())).exit_code, 0);
  EXPECT_EQ(json::parse(read_file(logs / "results.json"))["results"]["stories"]["acc,none"], 0.5);
  EXPECT_EQ(json::parse(read_file(logs / "samples_piqa.jsonl"))["doc_id"], 0);
  const Ran table = run_pith(command);
  EXPECT_NE(table.out.find("acc_norm"), std::string::npos);
}

TEST(EvalTasks, WrongRequestsAreNamed) {
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f32.gguf");
  const std::string eval = "eval " + shell_quote(model.string());
  EXPECT_EQ(run_pith(eval).exit_code, 2);
  EXPECT_EQ(run_pith(eval + " --tasks piqa --text " + shell_quote(kSamples + "/lambada_test.jsonl")).exit_code, 2);
  const Ran unknown = run_pith(eval + " --tasks pika");
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_NE(unknown.err.find("winogrande"), std::string::npos);
}

}  // namespace
}  // namespace pith::test
