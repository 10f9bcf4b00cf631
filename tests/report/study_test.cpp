#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/study/statistics.h"
#include "report/study/tables.h"
#include "tests/report/study_example.h"

namespace pith::report {
namespace {

TEST(Study, ARecordIsReadBackAsItWasWritten) {
  ModelRecord m = example_model("a", 1000, 2.5, 0.1);
  m.samples = {"once \"upon\"\n", "\xc3\xa9"};
  m.tasks.push_back({"hellaswag", "acc_norm", "dd", 3, 0.5, 0.25, false, "101"});
  m.layers = LayerRecord{.errors = {0.1, 0.2}, .peaks = {3, 4}, .weights = {-4, 4, {0.5, 0.5}}, .activations = {}};
  m.tensors.push_back({"attn_q", 3, 0.125});
  const std::string text = to_json(m);
  EXPECT_EQ(to_json(record_of_json(text, "a.json")), text);
  EXPECT_EQ(record_of_json(text, "a.json").quality->against_base->by_window[2], 11);
}

TEST(Study, WhatIsNoRecordIsRefusedByName) {
  for (const char* text : {"", "{", "[]", "{\"name\": 3}", "null"}) {
    try {
      (void)record_of_json(text, "points/x.json");
      FAIL() << text;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("points/x.json"), std::string::npos);
    }
  }
}

TEST(Study, PairsAreTestedOnTheirWindows) {
  const auto rows = paired_rows(example_study());
  ASSERT_EQ(rows.size(), 3u);  // base-small, base-large, small-large
  EXPECT_EQ(rows[0].first, "base");
  EXPECT_FALSE(rows[0].kl.has_value());
  EXPECT_NEAR(rows[0].nll->difference, -0.2, 1e-12);
  EXPECT_NEAR(rows[2].nll->difference, 0.15, 1e-12);
  EXPECT_NEAR(rows[2].kl->difference, 0.15, 1e-12);
  // Three windows that agree: 2 of 8 patterns of signs, three pairs.
  EXPECT_DOUBLE_EQ(rows[2].nll->p_value, 0.25);
  EXPECT_DOUBLE_EQ(rows[2].nll_p, 0.75);
}

TEST(Study, ModelsOnOtherWindowsAreNotPaired) {
  Study study = example_study();
  study.models[0].quality->by_window.pop_back();
  EXPECT_EQ(paired_rows(study).size(), 1u);
}

TEST(Study, TasksArePairedByItem) {
  Study study = example_study();
  study.base->tasks.push_back({"t", "acc", "dd", 6, 0.5, 0.1, false, "111110"});
  study.models[0].tasks.push_back({"t", "acc", "dd", 6, 0.5, 0.1, false, "000001"});
  study.models[1].tasks.push_back({"t", "acc", "other data", 6, 0.5, 0.1, false, "111111"});
  const auto pairs = task_pairs(study);
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].lost, 5);
  EXPECT_EQ(pairs[0].gained, 1);
  EXPECT_NEAR(pairs[0].p, 2 * (1 + 6) / 64.0, 1e-12);  // two tails of Binomial(6, 1/2) up to 1
}

TEST(Study, TheTableHasOnlyWhatWasMeasured) {
  Study study = example_study();
  const Table full = models_table(study);
  study.base->speed.reset();
  for (ModelRecord& m : study.models) m.speed.reset();
  const Table less = models_table(study);
  EXPECT_LT(less.columns.size(), full.columns.size());
  EXPECT_EQ(full.rows[1][2], "4.00x");
  for (const Column& c : less.columns) EXPECT_EQ(c.title.find("t/s"), std::string::npos);
}

TEST(Study, FormsForPapersEscapeTheirSigns) {
  Study study = example_study();
  study.models[0].name = "50%_\"a,b\"&c";
  const std::string latex = study_report(study, TextForm::latex);
  EXPECT_NE(latex.find("50\\%\\_\"a,b\"\\&c"), std::string::npos);
  EXPECT_NE(latex.find("\\toprule"), std::string::npos);
  const std::string csv = study_report(study, TextForm::csv);
  EXPECT_NE(csv.find("\n\"50%_\"\"a,b\"\"&c\",rtn,q4_0,500000,4,"), std::string::npos) << csv;
  EXPECT_THROW(text_form_or_throw("pdf"), Error);
}

TEST(Study, TheSurveysTablesSortByWhatWasDone) {
  Study study = example_study();
  study.models[1].pruned = true;
  study.models[1].category = "unstructured pruning";
  study.models[1].size.zeros = 0.5;
  const Table q = quantization_table(std::span(&study, 1)), p = pruning_table(std::span(&study, 1));
  ASSERT_EQ(q.rows.size(), 1u);
  ASSERT_EQ(p.rows.size(), 1u);
  EXPECT_EQ(q.rows[0][1], "rtn q4_0");
  EXPECT_EQ(q.rows[0][6], fmt::format("{:+.2f}", std::exp(3.2) - std::exp(3.0)));
  EXPECT_EQ(p.rows[0][4], "50.0 %");
  EXPECT_EQ(p.rows[0][5], "2.00x");
}

TEST(Study, JsonHasTestsAndNoNonFiniteNumber) {
  Study study = example_study();
  for (ModelRecord* m : {&*study.base, &study.models[0], &study.models[1]}) {
    m->quality->by_window.resize(1);
    if (m->quality->against_base) m->quality->against_base->by_window.resize(1);
  }
  const auto json = nlohmann::json::parse(study_json(study));
  EXPECT_TRUE(json.at("tests").at("pairs").at(0).at("nats_per_token").at("low_95").is_null());
  EXPECT_EQ(json.at("models").at(0).at("compression_ratio"), 4);
}

}  // namespace
}  // namespace pith::report
