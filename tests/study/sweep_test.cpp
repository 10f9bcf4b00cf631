// Sweeps on a small trained model: what was measured is kept, a stopped one goes on, a failure stops nothing.
#include "study/sweep.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "report/study/tables.h"
#include "study/sweep_journal.h"
#include "tests/shared_data.h"

namespace pith::test {

namespace {

struct Stopped {};

class Sweep : public testing::Test {
 protected:
  void SetUp() override {
    PITH_NEED_DATA(text, "text/tinystories_30k.txt");
    PITH_NEED_DATA(model, "models/stories260K/hf");
    given_ = {
        .models = {model.string()}, .calibrate = {text.string()}, .text = text.string(), .out = {}, .windows = {}};
  }

  // q4_0 fits this model's rows; blocks of 256 and two-of-four sparse int4 groups do not.
  SweepPlan plan(const std::string& folder) const {
    SweepPlan plan = parse_sweep(
        "measure: {protocol: stories-256, windows: 4, prompts: [Once], sample_tokens: 4}\n"
        "calibrate: {samples: 4, length: 64}\n"
        "keep: false\n"
        "points:\n"
        "  - {methods: [rtn, gptq], formats: [q4_0, q8_0]}\n"
        "  - {methods: rtn, formats: q4_k, fallback: false}\n"
        "  - {methods: wanda, options: {sparsity: 30}}\n",
        "s.yaml", temp_.path, given_);
    plan.out = temp_.path / folder;
    return plan;
  }

  SweepResult run(const SweepPlan& plan, std::size_t most = 1000, const SweepOptions& options = {}) {
    std::size_t fresh = 0;
    return sweep(
        plan, options,
        [&](const SweepStep& step) {
          fresh += !step.known;
          if (fresh == most) throw Stopped();
        },
        no_progress());
  }

  // What of a sweep does not depend on the day.
  static std::string without_days(SweepResult result) {
    for (report::Study& study : result.studies) {
      study.base = without_times(std::move(*study.base));
      for (report::ModelRecord& m : study.models) m = without_times(std::move(m));
    }
    return report::sweep_json(result.studies);
  }

  std::size_t lines_of(const std::filesystem::path& file) const {
    const std::string text = read_file(file);
    return std::size_t(std::count(text.begin(), text.end(), '\n'));
  }

  const TempFolder temp_;
  SweepOverrides given_;
};

}  // namespace

TEST_F(Sweep, MeasuresEveryPointAndGoesOnAfterAFailure) {
  const SweepResult result = run(plan("out"));
  EXPECT_EQ(result.measured, 6u);
  EXPECT_EQ(result.failed, 1u);
  const report::Study& study = result.studies.at(0);
  ASSERT_EQ(study.models.size(), 5u);
  EXPECT_EQ(study.models[0].name, "rtn q4_0");
  EXPECT_EQ(study.models[4].name, "wanda");
  EXPECT_EQ(study.models[4].category, "unstructured pruning");
  EXPECT_TRUE(study.models[4].pruned);
  EXPECT_NEAR(study.models[4].size.zeros, 0.3, 0.01);
  EXPECT_EQ(study.models[2].category, "weight-only quantization");
  ASSERT_EQ(study.missing.size(), 1u);
  EXPECT_EQ(study.missing[0].name, "rtn q4_k");
  EXPECT_NE(study.missing[0].why.find("q4_k"), std::string::npos) << study.missing[0].why;
  // The same numbers as a comparison gives: the original is nearer to q8_0 than to q4_0.
  EXPECT_LT(10 * study.models[1].quality->against_base->kl.mean, study.models[0].quality->against_base->kl.mean);
  EXPECT_EQ(study.models[0].tensors.size(), 5u * 7 + 1);  // the linear layers of five blocks, and the embedding
  EXPECT_FALSE(std::filesystem::exists(temp_.path / "out" / "models" / "hf" / "rtn-q4_0.gguf"));
  EXPECT_TRUE(std::filesystem::is_empty(temp_.path / "out" / "models" / "hf"));  // nothing half-made is left
  // Pairs are tested on the four windows of both.
  const report::Table pairs = report::pairs_table(study);
  EXPECT_EQ(pairs.rows.size(), 15u);  // six models with the original
}

TEST_F(Sweep, AStoppedSweepGoesOnToTheSameResults) {
  const std::string whole = without_days(run(plan("whole")));
  EXPECT_THROW(run(plan("parts"), 2), Stopped);
  EXPECT_EQ(lines_of(temp_.path / "parts" / "journal.jsonl"), 3u);  // the original and two points
  std::ofstream(temp_.path / "parts" / "journal.jsonl", std::ios::app) << "{\"key\": \"torn";
  const SweepResult rest = run(plan("parts"));
  EXPECT_EQ(rest.known, 2u);
  EXPECT_EQ(rest.measured, 4u);
  EXPECT_EQ(without_days(rest), whole);
  const SweepResult again = run(plan("parts"));
  EXPECT_EQ(again.measured, 0u);
  EXPECT_EQ(again.known, 6u);
  EXPECT_EQ(lines_of(temp_.path / "parts" / "journal.jsonl"), 7u);
  EXPECT_EQ(run(plan("parts"), 1000, {.retry = true}).measured, 1u);  // the one that failed
}

TEST_F(Sweep, AnotherProtocolMeasuresAnew) {
  SweepPlan p = plan("out");
  p.points.resize(1);
  EXPECT_EQ(run(p).measured, 1u);
  p.measure.eval.max_windows = 3;
  EXPECT_EQ(run(p).measured, 1u);
  p.measure.eval.max_windows = 4;
  EXPECT_EQ(run(p).known, 1u);
}

TEST_F(Sweep, FilesCountByWhatTheyHoldNotByWhereTheyLie) {
  const auto run_gptq = [&] {
    SweepPlan p = plan("out");
    std::erase_if(p.points, [](const SweepPoint& point) { return point.name != "gptq q4_0"; });
    EXPECT_EQ(p.points.size(), 1u);
    return run(p);
  };
  EXPECT_EQ(run_gptq().measured, 1u);
  const auto copy = temp_.path / "elsewhere" / std::filesystem::path(given_.calibrate[0]).filename();
  std::filesystem::create_directory(copy.parent_path());
  std::filesystem::copy_file(given_.calibrate[0], copy);
  given_.calibrate = {copy.string()};
  EXPECT_EQ(run_gptq().known, 1u);
  std::ofstream(copy, std::ios::app) << " And then they slept.";
  EXPECT_EQ(run_gptq().measured, 1u);
}

TEST_F(Sweep, ReportsWhatIsThereWithoutMeasuring) {
  EXPECT_THROW(run(plan("out"), 1000, {.measure = false}), Error);  // nothing yet
  EXPECT_THROW(run(plan("out"), 2), Stopped);
  const SweepResult part = run(plan("out"), 1000, {.measure = false});
  EXPECT_EQ(part.known, 2u);
  EXPECT_EQ(part.left, 4u);
  EXPECT_EQ(part.studies.at(0).models.size(), 2u);
  ASSERT_EQ(part.studies[0].missing.size(), 4u);
  EXPECT_EQ(part.studies[0].missing[0].why, "not measured yet");
  const auto points = sweep_points(plan("out"));
  ASSERT_EQ(points.size(), 6u);
  EXPECT_EQ(points[1].state, PlannedPoint::State::measured);
  EXPECT_EQ(points[2].state, PlannedPoint::State::left);
  EXPECT_EQ(points[0].container, "gguf");
}

TEST_F(Sweep, KeptModelsLieUnderTheirNames) {
  SweepPlan p = plan("out");
  p.points.resize(1);
  p.keep = true;
  const SweepResult result = run(p);
  const auto file = temp_.path / "out" / result.studies.at(0).models.at(0).path;
  EXPECT_EQ(file.filename(), "rtn-q4_0.gguf");
  EXPECT_EQ(dim(std::filesystem::file_size(file)), result.studies[0].models[0].size.file_bytes);
}

TEST_F(Sweep, OneAtATimeAndDamagedJournalsAreNamed) {
  std::filesystem::create_directories(temp_.path / "out");
  const SweepJournal held(temp_.path / "out", true);
  try {
    run(plan("out"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.blame(), Blame::environment);
    EXPECT_NE(std::string(e.what()).find("another sweep"), std::string::npos);
  }
  std::filesystem::create_directories(temp_.path / "bad");
  std::ofstream(temp_.path / "bad" / "journal.jsonl") << "{\"key\": 3}\n";
  try {
    run(plan("bad"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("journal.jsonl, line 1"), std::string::npos) << e.what();
  }
}

}  // namespace pith::test
