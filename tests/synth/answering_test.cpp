// Pipelines whose answers are to given questions, with a teacher that is a function.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/synth/fake_model.h"

namespace pith::synth {
namespace {

using namespace test;
using Strings = std::vector<std::string>;

TEST(SeqKd, AnswersOfEachQuestionWithTheirOrigin) {
  FakeModel teacher(
      [](const Request& r) { return question_of(r) + " " + std::to_string(r.seed % 2 + 2 * (r.seed > 9)) + "!"; });
  Job job = job_of("seqkd", {seed_of("One"), seed_of("Two")});
  job.choice.system = "Be brief.";
  job.choice.seed = 4;
  const Outcome out = made(job, teacher);
  ASSERT_EQ(out.records.size(), 2u);
  EXPECT_EQ(out.records[0].messages.size(), 2u);  // the student does not see the system message
  const auto json = nlohmann::json::parse(record_line(out.records[1], out.origin));
  EXPECT_EQ(json["messages"][0], (nlohmann::json{{"role", "user"}, {"content", "Two"}}));
  EXPECT_EQ(json["messages"][1]["role"], "assistant");
  const auto& from = json["provenance"];
  EXPECT_EQ(from["pipeline"], "seqkd");
  EXPECT_EQ(from["options"]["keep"], "all");
  EXPECT_EQ(from["seed"], 4);
  EXPECT_EQ(from["source"], "data, line 1");
  EXPECT_EQ(from["teacher"], (nlohmann::json{{"name", "fake"}, {"hash", "hash of fake"}}));
  EXPECT_EQ(from["prompt"][0]["content"], "Be brief.");
  EXPECT_EQ(from["sampling"]["temperature"], 0.7);
  EXPECT_EQ(from["sampling"]["seed"], out.records[1].request.seed);
  EXPECT_LT(out.records[1].request.seed, std::uint64_t(1) << 31);
  EXPECT_EQ(from["filters"], (nlohmann::json{"finished", "repetition<=0.3", "length", "dedup exact"}));
}

TEST(SeqKd, FiltersCountWhatTheyDrop) {
  const std::string loop = "again and again we say it again and again we say it again and again we say it";
  FakeModel teacher([&](const Request& r) -> std::string {
    if (question_of(r) == "cut") return "half of it#cut";
    if (question_of(r) == "loop") return loop;
    if (question_of(r) == "empty") return " ... ";
    if (question_of(r) == "long") return "a b c d e f";
    return "same";
  });
  Job job = job_of("seqkd", {seed_of("cut"), seed_of("loop"), seed_of("empty"), seed_of("long"), seed_of("twice")});
  job.choice.filters.max_words = 5;
  job.choice.samples = 2;
  Outcome out = made(job, teacher);
  EXPECT_EQ(pairs_of(out), (Strings{"twice => same"}));
  EXPECT_EQ(out.dropped,
            (DropCounts{{"finished", 2}, {"repetition", 2}, {"empty", 2}, {"length", 2}, {"duplicate", 1}}));
  job.choice.filters = {.min_words = 0, .repetition = 1, .keep_unfinished = true};
  job.choice.duplicates.kind = DuplicateKind::none;
  out = made(job, teacher);
  EXPECT_EQ(out.dropped, (DropCounts{{"empty", 2}}));
  EXPECT_EQ(out.records.size(), 8u);
}

TEST(SeqKd, KeepsTheSampleNearestToTheReference) {
  FakeModel teacher([n = 0](const Request&) mutable {
    const char* said[] = {"a dog ran", "the cat sat on a mat", "the cat slept"};
    return std::string(said[n++]);
  });
  Job job = job_of("seqkd", {seed_of("What?", "the cat sat on the mat")}, {"keep=nearest"});
  job.choice.samples = 3;
  const Outcome out = made(job, teacher);
  EXPECT_EQ(pairs_of(out), (Strings{"What? => the cat sat on a mat"}));
  EXPECT_DOUBLE_EQ(out.records[0].scores[0].second, 10.0 / 12.0);
  EXPECT_EQ(out.dropped, (DropCounts{{"nearest", 2}}));
}

// Names the sum of the numbers 2 and 3, or does not say which number is meant.
std::string adds(const Request& r) {
  const std::string& q = question_of(r);
  if (has(q, "Therefore")) return " 9. ";
  if (has(q, "silent")) return "There are 2 and 3.";
  if (has(q, "wrong")) return "2 and 3. The answer is 6.";
  return "2 and 3 make 5.\nThe answer is 5.";
}

TEST(Cot, KeepsWhatComesToTheRightAnswer) {
  FakeModel teacher(adds);
  const Outcome out =
      made(job_of("cot", {seed_of("plain", "5"), seed_of("wrong", "5"), seed_of("silent", "9")}), teacher);
  EXPECT_EQ(pairs_of(out),
            (Strings{"plain => 2 and 3 make 5.\nThe answer is 5.", "silent => There are 2 and 3.\nThe answer is 9."}));
  EXPECT_EQ(out.dropped, (DropCounts{{"right answer", 1}}));
  EXPECT_EQ(teacher.asked, 4);  // the silent one twice
  EXPECT_THROW(made(job_of("cot", {seed_of("no answer")}), teacher), Error);
}

TEST(Cot, ShowsWorkedExamplesButNeverTheQuestionItself) {
  std::vector<SeedItem> seeds = {seed_of("alpha", "1"), seed_of("beta", "2"), seed_of("gamma", "3")};
  for (SeedItem& s : seeds) s.rationale = "because " + s.question + ".";
  FakeModel teacher([](const Request& r) {
    const std::string& q = question_of(r);
    const std::string asked = q.substr(q.rfind("Question: "));
    for (const char* name : {"alpha", "beta", "gamma"})
      EXPECT_NE(has(asked, name), has(q, std::string("because ") + name + ".\nThe answer is")) << q;
    return std::string("The answer is 1.");
  });
  EXPECT_EQ(made(job_of("cot", seeds, {"shots=2"}), teacher).records.size(), 1u);
}

TEST(StepByStep, MakesTwoTasksOfEachQuestion) {
  FakeModel teacher(adds);
  const auto made_with = [&](const char* labels) {
    return pairs_of(made(job_of("step_by_step", {seed_of("plain", "5"), seed_of("wrong", "5")}, {labels}), teacher));
  };
  const std::string plain = "explain: plain => 2 and 3 make 5.\nThe answer is 5.",
                    wrong = "explain: wrong => 2 and 3. The answer is 6.";
  EXPECT_EQ(made_with("labels=teacher"), (Strings{"predict: plain => 5", plain, "predict: wrong => 6", wrong}));
  EXPECT_EQ(made_with("labels=gold"), (Strings{"predict: plain => 5", plain, "predict: wrong => 5", wrong}));
  EXPECT_EQ(made_with("labels=agreed"), (Strings{"predict: plain => 5", plain}));
}

TEST(Scott, TellsTheTeacherOneAnswerAgainstAnother) {
  FakeModel teacher([](const Request& r) {
    EXPECT_TRUE(r.contrast.has_value());
    const bool told_yes = has(question_of(r), "The answer is yes.");
    EXPECT_NE(told_yes, has(r.contrast->against.back().content, "The answer is yes."));
    EXPECT_EQ(r.contrast->weight, 2);
    return std::string(told_yes ? "It floats." : "It sinks.");
  });
  SeedItem seed = seed_of("Does wood swim?", "yes");
  seed.wrong = {"no"};
  EXPECT_EQ(pairs_of(made(job_of("scott", {seed}, {"weight=2"}), teacher)),
            (Strings{"[Factual] Does wood swim? => It floats.\nThe answer is yes.",
                     "[Counterfactual] Does wood swim? => It sinks.\nThe answer is no."}));
  EXPECT_EQ(pairs_of(made(job_of("scott", {seed}, {"weight=2", "counterfactual=no"}), teacher)),
            (Strings{"Does wood swim? => It floats.\nThe answer is yes."}));
}

TEST(ProgramAided, KeepsProgramsThatComputeTheAnswer) {
  FakeModel teacher([](const Request& r) -> std::string {
    const std::string& q = question_of(r);
    if (has(q, "faulty")) return "answer = import os";
    if (has(q, "wrong")) return "answer = 7";
    return "```python\na = 2\nanswer = a * 9\n```";
  });
  const Outcome out =
      made(job_of("program", {seed_of("good", "18"), seed_of("faulty", "1"), seed_of("wrong", "8"), seed_of("open")}),
           teacher);
  EXPECT_EQ(pairs_of(out), (Strings{"good\n\nWrite a program that computes the answer. => a = 2\nanswer = a * 9",
                                    "open\n\nWrite a program that computes the answer. => a = 2\nanswer = a * 9"}));
  EXPECT_EQ(out.dropped, (DropCounts{{"program", 1}, {"right answer", 1}}));
  EXPECT_EQ(out.records[0].scores[0].second, 18);
  EXPECT_THROW(made(job_of("program", {seed_of("q", "many")}), teacher), Error);
}

TEST(Icl, PutsExamplesBeforeTheQuestion) {
  FakeModel teacher([](const Request&) { return std::string("taught"); });
  const std::vector<SeedItem> seeds = {seed_of("x", "1"), seed_of("y", "2")};
  EXPECT_EQ(pairs_of(made(job_of("icl", seeds, {"shots=1"}), teacher)),
            (Strings{"Input: y\nOutput: 2\n\nInput: x\nOutput: => taught",
                     "Input: x\nOutput: 1\n\nInput: y\nOutput: => taught"}));
  EXPECT_EQ(pairs_of(made(job_of("icl", seeds, {"student=question"}), teacher)),
            (Strings{"x => taught", "y => taught"}));
  teacher.asked = 0;
  EXPECT_EQ(
      pairs_of(made(job_of("icl", seeds, {"target=gold", "shots=1"}), teacher)),
      (Strings{"Input: y\nOutput: 2\n\nInput: x\nOutput: => 1", "Input: x\nOutput: 1\n\nInput: y\nOutput: => 2"}));
  EXPECT_EQ(teacher.asked, 0);
}

}  // namespace
}  // namespace pith::synth
