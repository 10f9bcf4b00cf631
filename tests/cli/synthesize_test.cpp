// synthesize as a person runs it, with a model that tells stories as the teacher.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

class Synthesize : public testing::Test {
 protected:
  void SetUp() override {
    const auto from = data_folder() / "models/stories260K/hf";
    if (!std::filesystem::exists(from)) GTEST_SKIP() << "no test data at " << from;
    std::filesystem::create_directory(folder.path / "model");
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
      std::filesystem::copy_file(from / name, folder.path / "model" / name);
    json config = json::parse(read_file(from / "tokenizer_config.json"));
    config["chat_template"] =
        "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}";
    std::ofstream(folder.path / "model/tokenizer_config.json") << config.dump();
    std::ofstream(folder.path / "questions.txt") << "Who is Tom?\nWhere is the dog?\nWhat did Lily find?\n";
  }
  std::string at(const char* name) const { return (folder.path / name).string(); }
  Ran make(const std::string& pipeline, const char* out, const std::string& more) const {
    return run_pith("synthesize " + pipeline + " --teacher " + shell_quote(at("model")) + " --data " +
                    shell_quote(at("questions.txt")) + " -o " + shell_quote(at(out)) + " -n 20 --keep-unfinished " +
                    more);
  }
  TempFolder folder;
};

TEST_F(Synthesize, MakesWhatFinetuneReads) {
  const Ran ran = make("seqkd", "a.jsonl", "--samples 3 --json --threads 1");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["records"], 9);
  EXPECT_EQ(report["teacher"]["requests"], 9);
  EXPECT_EQ(report["teacher"]["tokens"], 180);
  EXPECT_FALSE(std::filesystem::exists(at("a.jsonl.journal")));
  ASSERT_EQ(make("seqkd", "b.jsonl", "--samples 3 --threads 2 --slots 3").exit_code, 0);
  EXPECT_EQ(read_file(at("a.jsonl")), read_file(at("b.jsonl")));
  const Ran tuned = run_pith("finetune " + shell_quote(at("model")) + " --data " + shell_quote(at("a.jsonl")) + " -o " +
                             shell_quote(at("tuned")) + " --steps 2 --length 64 --json");
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_EQ(json::parse(tuned.out)["data"]["sequences"], 9);
}

TEST_F(Synthesize, AKilledRunGoesOnToTheSameFile) {
  ASSERT_EQ(make("seqkd", "whole.jsonl", "--samples 4").exit_code, 0);
  ASSERT_EQ(make("seqkd", "part.jsonl", "--samples 1 --journal " + shell_quote(at("part.jsonl.journal"))).exit_code, 0);
  std::filesystem::remove(at("part.jsonl"));
  const std::string journal = read_file(at("part.jsonl.journal"));
  std::ofstream(at("part.jsonl.journal")) << journal.substr(0, journal.size() - 10);  // killed while it wrote
  const Ran ran = make("seqkd", "part.jsonl", "--samples 4 --json");
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["teacher"]["known"], 2);
  EXPECT_EQ(read_file(at("part.jsonl")), read_file(at("whole.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(at("part.jsonl.journal")));
}

TEST_F(Synthesize, DryRunsAskNothing) {
  const Ran ran = make("seqkd", "x.jsonl", "--samples 2 --dry-run");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("first stage: answers, 6 requests with "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("[user] Who is Tom?"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(at("x.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(at("x.jsonl.journal")));
  EXPECT_EQ(json::parse(make("seqkd", "x.jsonl", "--dry-run --json").out)["requests"], 3);
}

TEST_F(Synthesize, EveryPipelineRuns) {
  const std::string data = at("qa.jsonl"), model = shell_quote(at("model"));
  std::ofstream(data) << R"({"question": "2 and 3?", "answer": "5"})"
                      << "\n"
                      << R"({"question": "4 and 4?", "answer": "8"})"
                      << "\n";
  for (const char* pipeline : {"seqkd:keep=nearest", "step_by_step", "cot:shots=1", "scott", "program", "icl:shots=1",
                               "self_instruct", "lamini", "lion", "reflect"}) {
    const Ran ran =
        run_pith(std::string("synthesize ") + pipeline + " --teacher " + model + " --student " + model + " --data " +
                 shell_quote(data) + " -n 8 --keep-unfinished --repetition 1 --count 2 --overwrite --json -o " +
                 shell_quote(at("out.jsonl")));
    // It is no good at sums: there may be no right answer.
    const bool none =
        ran.exit_code == 1 && ran.err.find("expected at least one record to pass the filters") != ran.err.npos;
    EXPECT_TRUE(ran.exit_code == 0 || none) << pipeline << ran.err;
    EXPECT_GE(json::parse(ran.out)["teacher"]["requests"].get<int>(), 2) << pipeline;
  }
}

TEST_F(Synthesize, WhatCannotBeIsRefused) {
  const auto refused = [&](const std::string& pipeline, const std::string& more, const char* says) {
    const Ran ran = make(pipeline, "x.jsonl", more);
    EXPECT_EQ(ran.exit_code, 1) << pipeline;
    EXPECT_NE(ran.err.find(says), std::string::npos) << ran.err;
    EXPECT_FALSE(std::filesystem::exists(at("x.jsonl")));
  };
  refused("magic", "", "expected one of seqkd, step_by_step");
  refused("seqkd:keep=best", "", "expected one of all, nearest");
  refused("cot", "", "[questions.txt, line 1] expected an answer, which cot needs");
  refused("lion", "", "expected --student");
  refused("seqkd", "--dedup fuzzy", "expected none, exact");
  refused("seqkd", "--samples 2 -t 0", "expected 1 at temperature 0");
  const auto elsewhere = [&](const char* pipeline, const char* teacher) {
    std::ofstream(at("qa.jsonl")) << R"({"question": "2 and 3?", "answer": "5"})";
    return run_pith(std::string("synthesize ") + pipeline + " --teacher " + teacher + " --data " +
                    shell_quote(at("qa.jsonl")) + " -o " + shell_quote(at("x.jsonl")))
        .err;
  };
  EXPECT_NE(elsewhere("seqkd", "http://example.org").find("expected an address of this machine"), std::string::npos);
  EXPECT_NE(elsewhere("scott", "http://127.0.0.1:9").find("expected a model file for scott"), std::string::npos);
  std::ofstream(at("x.jsonl.journal")) << "mine";
  refused("seqkd", "", "expected a journal of replies");
  EXPECT_EQ(read_file(at("x.jsonl.journal")), "mine");
  std::ofstream(at("there.jsonl")) << "mine";
  EXPECT_EQ(make("seqkd", "there.jsonl", "").exit_code, 1);
  EXPECT_EQ(read_file(at("there.jsonl")), "mine");
  EXPECT_EQ(make("seqkd", "y.jsonl", "--slots 1").exit_code, 2);
}

}  // namespace
}  // namespace pith::test
