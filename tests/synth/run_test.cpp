// What holds for every run: the journal, the order of replies, the plan, and what is refused.
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/shared_data.h"
#include "tests/synth/fake_model.h"

namespace pith::synth {
namespace {

using namespace test;

std::string say(const Request& r) {
  const std::string& q = question_of(r);
  const auto word = [&](int k) { return fmt::format("w{}", (r.seed >> k) % 97); };
  if (has(q, "numbered list"))
    return fmt::format("1. {} {} {} {}\n2. {} {} {} {} {}", word(0), word(3), word(6), word(9), word(1), word(4),
                       word(7), word(10), word(13));
  return fmt::format("{} says {}.", q.size(), r.seed);
}

Job growing() {
  Job job =
      job_of("self_instruct", {seed_of("Name the colours of a rainbow"), seed_of("Where do rivers begin and end?")});
  job.choice.count = 12;
  job.choice.samples = 2;
  return job;
}

TEST(Journal, AKilledRunGoesOnToTheSameBytes) {
  FakeModel whole(say);
  ReplyJournal none;
  const std::string wanted = lines_of(synthesize(growing(), whole, nullptr, none));
  EXPECT_GT(std::count(wanted.begin(), wanted.end(), '\n'), 12);
  for (const dim killed_after : {0, 1, 9, 17}) {
    const pith::test::TempFolder folder;
    const auto path = folder.path / "journal";
    FakeModel teacher(say);
    teacher.dies_after = killed_after;
    {
      ReplyJournal journal(path);
      EXPECT_THROW(synthesize(growing(), teacher, nullptr, journal), std::runtime_error);
    }
    std::ofstream(path, std::ios::app) << "p\ttorn";  // in the middle of a line
    teacher.dies_after = -1;
    teacher.backwards = true;
    ReplyJournal journal(path);
    const Outcome out = synthesize(growing(), teacher, nullptr, journal);
    EXPECT_EQ(lines_of(out), wanted) << killed_after;
    EXPECT_EQ(teacher.asked, whole.asked);  // none twice
    EXPECT_EQ(out.teacher.known, killed_after);
  }
}

TEST(Journal, ServesOtherFiltersButNoOtherModel) {
  ReplyJournal journal;
  FakeModel teacher(say), other(say, "other");
  Job job = job_of("seqkd", {seed_of("One"), seed_of("Two")});
  synthesize(job, teacher, nullptr, journal);
  job.choice.filters.min_words = 3;
  EXPECT_EQ(synthesize(job, teacher, nullptr, journal).teacher.known, 2);
  EXPECT_EQ(synthesize(job, other, nullptr, journal).teacher.known, 0);
  job.choice.seed = 1;
  EXPECT_EQ(synthesize(job, teacher, nullptr, journal).teacher.known, 0);
  EXPECT_EQ(teacher.asked, 4);
}

TEST(Journal, RefusesOtherFiles) {
  const pith::test::TempFolder folder;
  const std::string text = "{\"precious\": 1}\n";
  std::ofstream(folder.path / "data.jsonl") << text;
  EXPECT_THROW(ReplyJournal(folder.path / "data.jsonl"), Error);
  EXPECT_EQ(pith::test::read_file(folder.path / "data.jsonl"), text);
  EXPECT_THROW(ReplyJournal(folder.path), Error);
  const ReplyJournal mine(folder.path / "journal");
  EXPECT_THROW(ReplyJournal(folder.path / "journal"), Error);  // two at once
}

TEST(Journal, GivesBackWhatItWasGiven) {
  const pith::test::TempFolder folder;
  const Reply reply = {"line\none\ttab \\n \xc3\xa4", 7, ReplyEnd::length};
  {
    ReplyJournal journal(folder.path / "j");
    journal.keep("a", reply);
    journal.keep("b", TextScore{-0.1234567890123456789, 3});
  }
  const ReplyJournal journal(folder.path / "j");
  EXPECT_EQ(journal.reply("a")->text, reply.text);
  EXPECT_EQ(journal.reply("a")->tokens, 7);
  EXPECT_EQ(journal.reply("a")->end, ReplyEnd::length);
  EXPECT_EQ(journal.score("b")->logprob, -0.1234567890123456789);
  EXPECT_FALSE(journal.reply("c"));
  EXPECT_THROW(journal.reply("b"), Error);
}

TEST(Requests, EqualOnesAreAskedOnce) {
  FakeModel teacher(say);
  Job job = job_of("seqkd", {seed_of("One"), seed_of("One")});
  job.choice.sampling.temperature = 0;
  const Outcome out = made(job, teacher);
  EXPECT_EQ(teacher.asked, 1);
  EXPECT_EQ(out.records.size(), 1u);  // the second is a duplicate
}

TEST(Plan, IsTheFirstStageAndAsksNothing) {
  FakeModel teacher(say);
  Job job = job_of("cot", {seed_of("One", "1"), seed_of("Two", "2")});
  job.choice.samples = 3;
  const Plan planned = plan(job, teacher);
  EXPECT_EQ(planned.stage, "rationales");
  EXPECT_EQ(planned.requests.size(), 6u);
  EXPECT_GT(planned.prompt_tokens, 0);
  EXPECT_EQ(teacher.asked, 0);
}

TEST(Job, IsCheckedFirst) {
  FakeModel teacher(say);
  const auto refused = [&](auto change, Job job = job_of("seqkd", {seed_of("One")})) {
    change(job);
    EXPECT_THROW(made(job, teacher), Error);
  };
  refused([](Job& j) { j.choice.samples = 0; });
  refused([](Job& j) { j.choice.samples = 2, j.choice.sampling.temperature = 0; });
  refused([](Job& j) { j.choice.sampling.top_p = 2; });
  refused([](Job& j) { j.choice.sampling.max_tokens = 0; });
  refused([](Job& j) { j.choice.filters.repetition = 2; });
  refused([](Job& j) { j.choice.filters.max_words = -1; });
  refused([](Job& j) { j.seeds.clear(); });
  refused([](Job& j) { j.seeds[0].before = {{"system", "S"}}; }, job_of("icl", {seed_of("One", "1")}));
  EXPECT_THROW(pipeline_or_throw("magic"), Error);
  EXPECT_EQ(teacher.asked, 0);
}

}  // namespace
}  // namespace pith::synth
