// Pipelines that make instructions, judge or choose.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "synth/instructions.h"
#include "synth/pipelines/verdict.h"
#include "tests/synth/fake_model.h"

namespace pith::synth {
namespace {

using namespace test;
using Strings = std::vector<std::string>;

TEST(Lists, ItemsInAnyDress) {
  EXPECT_EQ(list_items("Sure!\n1. **One thing**\n2) \"Two\"\n   goes on\n\nnot this\n- three\n* four\n10. Ten", false),
            (Strings{"One thing", "\"Two\"\ngoes on", "three", "four", "Ten"}));
  EXPECT_EQ(list_items("1. One\n2. Tw", true), (Strings{"One"}));
  EXPECT_TRUE(list_items("no list at all - none", false).empty());
  EXPECT_TRUE(list_items("1.5 is a number", false).empty());
}

TEST(Instructions, FaultsAreNamed) {
  EXPECT_EQ(instruction_fault("Explain why the sky is blue."), "");
  EXPECT_EQ(instruction_fault("Go on then"), "words");
  EXPECT_EQ(instruction_fault("Draw me a very nice picture"), "needs other media");
  EXPECT_EQ(instruction_fault("(in French) say good morning"), "form");
  EXPECT_EQ(instruction_fault("\xc3\x89"
                              "cris un petit mot doux"),
            "");
}

TEST(Instructions, DrawsAreDifferent) {
  Rng rng(5);
  auto some = draw_some(rng, 10, 4);
  EXPECT_EQ(some.size(), 4u);
  std::sort(some.begin(), some.end());
  EXPECT_EQ(std::unique(some.begin(), some.end()), some.end());
  EXPECT_EQ(draw_some(rng, 2, 4).size(), 2u);
  EXPECT_EQ(numbered({"a", "b"}), "1. a\n2. b\n");
}

// Every list has one good new task, named by the draw, and two bad ones.
std::string lists_or_answers(const Request& r) {
  const std::string& q = question_of(r);
  if (!has(q, "numbered list")) return "answer to " + q;
  static const char* kinds[] = {"Explain how volcanoes erupt under the ocean",
                                "Describe three breakfasts without eggs",
                                "Summarize what a treaty between nations contains",
                                "List reasons to learn a second language",
                                "Compare steel bridges with wooden boats",
                                "Suggest names for a tired grey donkey",
                                "Tell why bees dance inside their hive",
                                "Translate hello friend into Spanish slang",
                                "Rewrite this sentence using passive verbs",
                                "Give advice about sleeping on long flights"};
  return std::string("1. ") + kinds[r.seed % 10] + "\n2. Name a colour of the sky\n3. Draw the moon as a picture";
}

TEST(SelfInstruct, GrowsUntilThereAreEnough) {
  FakeModel teacher(lists_or_answers);
  Job job = job_of("self_instruct", {seed_of("Name a colour of the rainbow")});
  job.choice.count = 6;
  const Outcome out = made(job, teacher);
  ASSERT_EQ(out.records.size(), 6u);
  for (const Record& r : out.records) {
    EXPECT_EQ(r.answer(), "answer to " + r.messages[0].content);
    EXPECT_TRUE(has(r.question_request->messages.back().content, "1. Name a colour of the rainbow\n"));
    EXPECT_LT(r.scores[0].second, 0.7);
  }
  dim media = 0, near = 0;
  for (const auto& [name, count] : out.dropped)
    (name == "rouge" ? near : name == "needs other media" ? media : near) += count;
  EXPECT_GT(media, 0);
  EXPECT_GE(near, media);  // "Name a colour of the sky": 5 of 6 words of the seed
}

TEST(SelfInstruct, GivesUpWhereNothingNewComes) {
  FakeModel teacher([](const Request&) { return std::string("1. Name a colour of the rainbow"); });
  Job job = job_of("self_instruct", {seed_of("Name a colour of the rainbow")});
  const Outcome out = made(job, teacher);
  EXPECT_TRUE(out.records.empty());
  EXPECT_EQ(teacher.asked, 5 * 8);
  EXPECT_EQ(out.dropped, (DropCounts{{"rouge", 40}}));
}

TEST(Lamini, EveryOtherListIsAboutTopics) {
  dim with = 0, without = 0;
  FakeModel teacher([&](const Request& r) {
    if (has(question_of(r), "numbered list")) ++(has(question_of(r), "about Sea.") ? with : without);
    return lists_or_answers(r);
  });
  Job job = job_of("lamini", {seed_of("Name a colour of the rainbow")});
  job.topics = {"Sea"};
  job.choice.count = 3;
  EXPECT_EQ(made(job, teacher).records.size(), 3u);
  EXPECT_EQ(with, without);
  EXPECT_GT(with, 0);
}

TEST(Verdicts, AreTwoNumbersOfTen) {
  EXPECT_EQ(scores_in("8 6.5"), std::pair(8.0, 6.5));
  EXPECT_EQ(scores_in("Answer one: 9\nother: 10."), std::pair(9.0, 10.0));
  EXPECT_EQ(scores_in("7"), std::nullopt);
  EXPECT_EQ(scores_in("11 3"), std::nullopt);
  EXPECT_EQ(scores_in("0 3"), std::nullopt);
}

TEST(Lion, GoesOnWhereTheStudentFallsBehind) {
  FakeModel student([](const Request& r) { return "small " + question_of(r); }, "student");
  dim after_hard = 0, after_easy = 0;
  // Judges whom it sees first two points higher; the hard question's right answer by four.
  FakeModel teacher([&](const Request& r) -> std::string {
    const std::string& q = question_of(r);
    if (has(q, "Rate how")) {
      const bool mine_first = !has(q, "Answer 1:\nsmall"), hard = has(q, "hard thing");
      const int mine = 3 + (mine_first ? 2 : 0) + (hard ? 4 : 0), other = 3 + (mine_first ? 0 : 2);
      return has(q, "unclear") ? "hm"
             : mine_first      ? fmt::format("{} {}", mine, other)
                               : fmt::format("{} {}", other, mine);
    }
    if (has(q, "numbered list")) {
      ++(has(q, "hard thing") ? after_hard : after_easy);
      EXPECT_NE(has(q, "hard thing"), has(q, "light thing"));
    }
    return lists_or_answers(r);
  });
  Job job = job_of("lion", {seed_of("A hard thing"), seed_of("A light thing"), seed_of("unclear matter")});
  job.choice.count = 4;
  const Outcome out = made(job, teacher, &student);
  EXPECT_GT(after_hard, 0);
  EXPECT_GT(after_easy, 0);
  std::map<std::string, dim> stages;
  for (const Record& r : out.records) ++stages[r.stage];
  EXPECT_EQ(stages, (std::map<std::string, dim>{{"hard", 2}, {"imitate", 3}, {"other", 2}}));
  EXPECT_EQ(out.records[0].scores, (std::vector<std::pair<std::string, double>>{{"gap", 4}}));
  EXPECT_EQ(out.records[1].scores, (std::vector<std::pair<std::string, double>>{{"gap", 0}}));
  EXPECT_TRUE(out.records[2].scores.empty());
  EXPECT_THROW(made(job, teacher), Error);
}

// Ten tokens each; the sum of -ln p is what the text says, whoever asks: "x=20" after a question, 30 after none.
TextScore scored(const ScoreRequest& r) {
  const bool bare = r.messages.back().content.empty();
  const auto at = r.text.find("x=");
  const double nll = bare || at == std::string::npos ? 30 : std::stod(r.text.substr(at + 2));
  return {-nll, 10};
}

TEST(Reflect, KeepsHarderInstructionsAndTheirShare) {
  FakeModel student([](const Request&) { return std::string(); }, "student");
  student.score_of = scored;
  FakeModel teacher([](const Request& r) -> std::string {
    if (has(question_of(r), "first")) return "Instruction: harder first\nAnswer: x=25";
    if (has(question_of(r), "second")) return "Instruction: easier second\nAnswer: x=5";
    return "no form at all";
  });
  const std::vector<SeedItem> seeds = {seed_of("first", "x=20"), seed_of("second", "x=10"), seed_of("third", "x=40"),
                                       seed_of("fourth", "x=6")};
  Outcome out = made(job_of("reflect", seeds, {"responses=no"}), teacher, &student);
  EXPECT_EQ(pairs_of(out), (Strings{"harder first => x=25", "second => x=10", "fourth => x=6"}));
  EXPECT_DOUBLE_EQ(out.records[0].scores[0].second, std::exp(-0.5));  // (25 - 30) / 10
  EXPECT_DOUBLE_EQ(out.records[1].scores[0].second, std::exp(-2.0));
  EXPECT_EQ(out.records[0].filters[1], "instruction: harder by ifd");
  EXPECT_TRUE(out.records[1].request.messages.empty());  // its answer is not the teacher's
  EXPECT_EQ(out.dropped, (DropCounts{{"ifd", 1}}));      // x=40: likelier without its question
  out = made(job_of("reflect", seeds, {"responses=no", "share=0.5"}), teacher, &student);
  EXPECT_EQ(pairs_of(out), (Strings{"harder first => x=25", "second => x=10"}));
  EXPECT_EQ(out.dropped, (DropCounts{{"ifd", 1}, {"share", 1}}));
}

TEST(Reflect, KeepsResponsesThatTellMoreOfTheInstruction) {
  FakeModel student([](const Request&) { return std::string(); }, "student");
  // Of an instruction: 12 after an answer with "clear", else 15; of an answer always 20; 30 after nothing.
  student.score_of = [](const ScoreRequest& r) -> TextScore {
    const std::string& asked = r.messages.back().content;
    if (asked.empty()) return {-30, 10};
    if (!has(asked, "What instruction")) return {-20, 10};
    return {has(asked, "clear") ? -12.0 : -15.0, 10};
  };
  FakeModel teacher([](const Request& r) -> std::string {
    return has(question_of(r), "Explain rain") ? "a clear answer" : "a muddy answer";
  });
  const Outcome out = made(
      job_of("reflect", {seed_of("Explain rain", "old"), seed_of("Explain snow", "old clear")}, {"instructions=no"}),
      teacher, &student);
  EXPECT_EQ(pairs_of(out), (Strings{"Explain rain => a clear answer", "Explain snow => old clear"}));
  EXPECT_DOUBLE_EQ(out.records[0].scores[1].second, std::exp(-1.8));
}

}  // namespace
}  // namespace pith::synth
