// finetune and distill as a person runs them.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith {
namespace {

using test::run_pith;
using test::shell_quote;

class TrainingTest : public testing::Test {
 protected:
  test::TempFolder folder;
  std::string model, data;
  void SetUp() override {
    const auto stories = test::data_folder() / "models/stories260K",
               text = test::data_folder() / "text/tinystories_30k.txt";
    if (!std::filesystem::exists(stories)) GTEST_SKIP() << "no test data at " << stories;
    gguf = (stories / "stories260K-f32.gguf").string();
    model = (stories / "hf").string();
    data = (folder.path / "data.txt").string();
    std::ofstream(data) << test::read_file(text).substr(0, 6000);
  }
  std::string gguf;
  std::string at(const char* name) const { return (folder.path / name).string(); }
  test::Ran train(const std::string& verb, const std::string& source, const char* out, const std::string& more) const {
    return run_pith(verb + " " + shell_quote(source) + " --data " + shell_quote(data) + " -o " + shell_quote(at(out)) +
                    " --length 64 --batch 4 --threads 1 " + more);
  }
  double perplexity(const std::string& path) const {
    const auto ran = run_pith("eval " + shell_quote(path) + " --text " + shell_quote(data) +
                              " --protocol llamacpp-512 --windows 2 --threads 1 --json");
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return nlohmann::json::parse(ran.out)[0]["perplexity"]["mean"].get<double>();
  }
};

TEST_F(TrainingTest, AStoppedRunGoesOnToTheSameFile) {
  const auto whole = train("finetune", model, "whole", "--steps 6 --rate 1e-3 --json");
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const auto report = nlohmann::json::parse(whole.out);
  EXPECT_EQ(report["steps"].size(), 6u);
  EXPECT_EQ(test::read_file(at("whole.report.json")), whole.out);

  const auto stopped = train("finetune", model, "parts", "--steps 6 --rate 1e-3 --stop-after 4");
  ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_FALSE(std::filesystem::exists(at("parts")));
  EXPECT_TRUE(std::filesystem::exists(at("parts.checkpoint")));
  EXPECT_EQ(train("finetune", model, "parts", "--steps 6 --rate 2e-3 --resume").exit_code, 1);  // another run
  ASSERT_EQ(train("finetune", model, "parts", "--steps 6 --rate 1e-3 --resume").exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(at("parts.checkpoint")));
  const std::string bytes = test::read_file(at("whole") + "/model.safetensors");
  EXPECT_FALSE(bytes.empty());
  EXPECT_TRUE(bytes == test::read_file(at("parts") + "/model.safetensors"));
  EXPECT_LT(perplexity(at("whole")), perplexity(model));
}

TEST_F(TrainingTest, AdaptersOfBothContainersMergeToWhatWasLearned) {
  for (const std::string& base : {model, gguf}) {
    const bool is_gguf = base == gguf;
    const char* adapter = is_gguf ? "adapter.gguf" : "adapter";
    const auto ran = train("finetune", base, adapter, "--lora 8 --steps 8 --rate 5e-3");
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    const std::string merged = at(is_gguf ? "merged.gguf" : "merged");
    const auto merge =
        run_pith("convert " + shell_quote(base) + " --lora " + shell_quote(at(adapter)) + " -o " + shell_quote(merged));
    ASSERT_EQ(merge.exit_code, 0) << merge.err;
    EXPECT_LT(perplexity(merged), perplexity(base));
  }
}

TEST_F(TrainingTest, AQuantizedBaseLearnsAdapters) {
  ASSERT_EQ(run_pith("quantize " + shell_quote(model) + " --format q8_0 -o " + shell_quote(at("q8.gguf"))).exit_code,
            0);
  const std::string before = test::read_file(at("q8.gguf"));
  ASSERT_EQ(train("finetune", at("q8.gguf"), "a.gguf", "--lora 4 --steps 2").exit_code, 0);
  EXPECT_TRUE(before == test::read_file(at("q8.gguf")));
  // Norms alone: the rest keeps its bytes.
  ASSERT_EQ(train("finetune", at("q8.gguf"), "n.gguf", "--norms --steps 4 --rate 5e-3").exit_code, 0);
  EXPECT_NEAR(double(test::read_file(at("n.gguf")).size()), double(before.size()), 2000);  // of 344 kB
  EXPECT_LT(perplexity(at("n.gguf")), perplexity(at("q8.gguf")));
}

TEST_F(TrainingTest, DistillationTakesATeacherOrItsCache) {
  ASSERT_EQ(train("finetune", model, "student", "--norms --steps 3 --rate 0.2").exit_code, 0);  // spoilt
  const std::string kept = " --cache " + shell_quote(at("kept"));
  const auto beside =
      train("distill", at("student"), "d1", "--teacher " + shell_quote(model) + " --steps 6 --rate 2e-3");
  ASSERT_EQ(beside.exit_code, 0) << beside.err;
  EXPECT_LT(perplexity(at("d1")), perplexity(at("student")));
  const auto cached = train("distill", at("student"), "d2", "--teacher " + shell_quote(model) + kept + " --steps 2");
  ASSERT_EQ(cached.exit_code, 0) << cached.err;
  EXPECT_EQ(train("distill", at("student"), "d3", kept + " --loss forward_kl --steps 2").exit_code, 0);
  const auto own = train("distill", at("student"), "d4",
                         "--teacher " + shell_quote(model) + " --on-policy 1 --new-tokens 8 --steps 2");
  EXPECT_EQ(own.exit_code, 0) << own.err;
}

TEST_F(TrainingTest, StatesAndTheDatasGammaCount) {
  ASSERT_EQ(train("finetune", model, "student", "--norms --steps 3 --rate 0.2").exit_code, 0);  // spoilt
  const std::string teacher = "--teacher " + shell_quote(model) + " --loss cakld --gamma data --steps 6 --rate 2e-3 ";
  const auto ran = train("distill", at("student"), "h", teacher + "--hidden 0.5 --hidden-layers 1:1,4:4 --json");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto loss = nlohmann::json::parse(ran.out)["loss"].get<std::string>();
  EXPECT_TRUE(loss.starts_with("cakld (gamma 0.")) << loss;
  EXPECT_TRUE(loss.ends_with(") + 0.5 hidden cosine of 1:1,4:4")) << loss;
  EXPECT_LT(perplexity(at("h")), perplexity(at("student")));
  EXPECT_EQ(train("distill", at("student"), "x", teacher + "--hidden 1 --hidden-layers 5:0").exit_code, 1);
  EXPECT_EQ(train("distill", at("student"), "x", teacher + "--hidden 1 --hidden-kind dot").exit_code, 1);
  EXPECT_EQ(train("distill", at("student"), "x", teacher + "--hidden 1 --cache " + shell_quote(at("c"))).exit_code, 1);
  EXPECT_EQ(
      train("distill", at("student"), "x", "--teacher " + shell_quote(model) + " --loss cakld --gamma 2").exit_code, 1);
}

TEST_F(TrainingTest, DoraMergesToWhatWasLearned) {
  const auto ran = train("finetune", model, "adapter", "--lora 4 --dora --steps 8 --rate 5e-3 --precision f32 --json");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(test::read_file(at("adapter") + "/adapter_config.json").find("\"use_dora\": true"), std::string::npos);
  ASSERT_EQ(run_pith("convert " + shell_quote(model) + " --format f32 --lora " + shell_quote(at("adapter")) + " -o " +
                     shell_quote(at("merged")))
                .exit_code,
            0);
  // The merged model goes on where the adapter stopped: its first loss is that of a further step.
  const auto further = train("finetune", model, "x", "--lora 4 --dora --steps 9 --rate 0 --precision f32 --json"),
             merged = train("finetune", at("merged"), "y", "--steps 9 --rate 0 --precision f32 --json");
  const auto loss = [](const test::Ran& r, std::size_t step) {
    return nlohmann::json::parse(r.out)["steps"][step]["loss"].get<double>();
  };
  EXPECT_LT(loss(merged, 8), loss(further, 8) - 0.01);
  EXPECT_EQ(train("finetune", gguf, "z.gguf", "--lora 4 --dora --steps 1").exit_code, 1);
  EXPECT_EQ(train("finetune", model, "z", "--dora --steps 1").exit_code, 1);
}

TEST_F(TrainingTest, OtherLossesOfATeacher) {
  ASSERT_EQ(train("finetune", model, "student", "--norms --steps 3 --rate 0.2").exit_code, 0);  // spoilt
  const std::string teacher = "--teacher " + shell_quote(model) + " --steps 6 --rate 2e-3 --json ";
  const auto run = [&](const std::string& more) {
    const auto ran = train("distill", at("student"), "d", teacher + "--overwrite " + more);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran.exit_code == 0 ? nlohmann::json::parse(ran.out) : nlohmann::json();
  };
  const auto by_rank = run("--loss uld");
  EXPECT_EQ(by_rank["loss"], "0.5 uld + 0.5 cross_entropy, at 100.0 % of the places");
  const auto adaptive = run("--loss skew_kl --on-policy adaptive --rise 0 --new-tokens 8 --validate-every 2");
  EXPECT_EQ(adaptive["options"]["on_policy"], "adaptive");
  EXPECT_EQ(adaptive["options"]["replay"], 1000);
  EXPECT_TRUE(adaptive["steps"][0]["validation"].is_null());
  EXPECT_TRUE(adaptive["steps"][1]["validation"].is_number());
  const auto policy = run("--loss minillm --new-tokens 8");
  EXPECT_EQ(policy["options"]["teacher_mix"], 0.2);
  const auto states = run("--hidden 1 --hidden-map filters --filter-steps 2 --hidden-layers last --relations 0.5");
  EXPECT_EQ(states["loss"],
            "jsd (beta 0.5) + 1 hidden cosine of 4:4 through filters of 2 steps + 0.5 relations of 4:4 in 4 parts");
  const auto eight = run("--optimizer adamw_8bit"), plain = run("");
  EXPECT_LT(eight["state_bytes"].get<double>(), 0.75 * plain["state_bytes"].get<double>());
  for (const char* bad : {"--loss uld --hidden 1", "--loss minillm --on-policy 0", "--on-policy 2",
                          "--loss minillm --draw-temperature 0.5", "--loss uld --cross-entropy 0",
                          "--validation 0.1 --cache x", "--relations 1 --relation-heads 3", "--validation 1"})
    EXPECT_EQ(train("distill", at("student"), "x", teacher + bad).exit_code, 1) << bad;
}

TEST_F(TrainingTest, LearnsWithTheFormatThatIsWritten) {
  const auto rounded =
      run_pith("quantize " + shell_quote(model) + " --format int2_g64 --to pith -o " + shell_quote(at("rtn")));
  ASSERT_EQ(rounded.exit_code, 0) << rounded.err;
  const auto ran = train("distill", model, "qat",
                         "--teacher " + shell_quote(model) + " --qat int2_g64 --to pith --steps 12 --rate 2e-3");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(test::read_file(at("qat") + "/model.safetensors").size(),
            test::read_file(at("rtn") + "/model.safetensors").size());
  EXPECT_LT(perplexity(at("qat")), 0.5 * perplexity(at("rtn")));
  EXPECT_EQ(train("finetune", model, "x", "--qat int2_g64 --lora 4").exit_code, 1);
  EXPECT_EQ(train("finetune", model, "x", "--qat bf16").exit_code, 1);
}

TEST_F(TrainingTest, ShrinksAndHeals) {
  const auto shrunk = [&](const char* verb, const std::string& arguments, const char* name) {
    const auto ran =
        run_pith(std::string(verb) + " " + shell_quote(model) + " " + arguments + " --calibrate " + shell_quote(data) +
                 " --calibrate-samples 32 --calibrate-length 256 -o " + shell_quote(at(name)));
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
  };
  shrunk("prune", "--method depth --set layers=1", "cut");
  shrunk("factorize", "--method svd_llm --ratio 40% --set multiple=4", "thin");
  for (const auto& [how, alone, name] : {std::tuple("depth:layers=1", "cut", "healed-cut"),
                                         std::tuple("svd_llm:ratio=0.4,multiple=4", "thin", "healed-thin")}) {
    const auto ran = train("distill", model, name, std::string("--student-from ") + how + " --steps 6 --rate 2e-3");
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_LT(perplexity(at(name)), perplexity(at(alone))) << how;
  }
  EXPECT_NE(test::read_file(at("healed-thin") + "/model.safetensors").find("q_proj.inner.weight"), std::string::npos);
  const auto wrong = train("distill", model, "x", "--student-from gptq");
  EXPECT_NE(wrong.err.find("expected methods that make a smaller model"), std::string::npos) << wrong.err;
}

TEST_F(TrainingTest, WhatCannotBeIsRefused) {
  const auto other = test::data_folder() / "models/babyllama_tok105/babyllama_tok105-f32.gguf";
  EXPECT_EQ(train("distill", model, "x", "").exit_code, 1);
  const auto mismatch = train("distill", model, "x", "--teacher " + shell_quote(other.string()));
  EXPECT_EQ(mismatch.exit_code, 1);
  EXPECT_NE(mismatch.err.find("vocabulary"), std::string::npos) << mismatch.err;
  EXPECT_EQ(train("distill", model, "x", "--teacher " + shell_quote(model) + " --loss kl2").exit_code, 1);
  EXPECT_EQ(train("distill", model, "x", "--teacher " + shell_quote(model) + " --beta 1").exit_code, 1);
  EXPECT_EQ(train("finetune", model, "x", "--lora 4 --norms").exit_code, 1);
  EXPECT_EQ(train("finetune", model, "x", "--rate -1").exit_code, 1);
  EXPECT_EQ(train("finetune", model, "x", "--format q8_0").exit_code, 1);
  EXPECT_EQ(train("finetune", model, "x", "--precision f64").exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(at("x")));
}

}  // namespace
}  // namespace pith
