#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report/study/pages.h"
#include "tests/report/study_example.h"

namespace pith::report {
namespace {

Study card_study() {
  Study study = example_study();
  study.models.resize(1);
  study.prompts = {"Once"};
  ModelRecord& m = study.models[0];
  m.name = "small_q4: \"x\"";
  m.container = "gguf";
  m.family = "llama";
  m.path = "/models/small.gguf";
  m.samples = {"upon ``` a <b>time</b>"};
  study.base->samples = {"upon a time"};
  m.recipe = "steps: [{method: rtn}]\n";
  m.tensors = {{"attn_q", 0, 0.1}, {"attn_q", 1, 0.2}, {"ffn_up", 0, 0.05}};
  m.tasks.push_back({"hellaswag", "acc", "dd", 4, 0.5, 0.25, false, "1010"});
  for (ModelRecord* r : {&*study.base, &m}) r->quality->by_position.push_back({32, 16, 10, 2.9});
  return study;
}

TEST(Card, FrontMatterSaysWhatTheHubAsks) {
  const std::string card = model_card(card_study(), "org/base");
  ASSERT_TRUE(card.starts_with("---\n"));
  const std::string front = card.substr(4, card.find("\n---\n", 4) - 3);
  EXPECT_NE(front.find("base_model: \"org/base\"\nbase_model_relation: quantized\n"), front.npos) << front;
  EXPECT_NE(front.find("tags: [pith, gguf, \"llama\"]\n"), front.npos);
  EXPECT_NE(front.find("- name: \"small_q4: \\\"x\\\"\"\n"), front.npos);
  // exp(3.2), the example's perplexity.
  EXPECT_NE(front.find("dataset: {name: \"text.txt\", type: \"text.txt\"}\n    metrics:\n"
                       "    - {type: \"perplexity\", value: 24.5325}\n"),
            front.npos)
      << front;
  EXPECT_EQ(model_card(card_study(), "").find("base_model"), std::string::npos);
}

TEST(Card, HoldsWhatWasMeasured) {
  const std::string card = model_card(card_study(), "");
  EXPECT_NE(card.find("500 kB"), card.npos) << card;
  EXPECT_NE(card.find("4.00 times smaller than base"), card.npos);
  EXPECT_NE(card.find("llama-cli -m small.gguf"), card.npos);
  EXPECT_NE(card.find("| attn_q | 15.00 % | 20.00 % | 1 |"), card.npos);
  EXPECT_NE(card.find("```yaml\nsteps: [{method: rtn}]\n```"), card.npos);
  EXPECT_NE(card.find("| 0 | 0.2000 |"), card.npos);  // nats above the original's in the first stretch
  EXPECT_NE(card.find("| base | 2,000,000 | ab12 |"), card.npos);
}

TEST(Card, WhatModelsSayIsNoMarkup) {
  const std::string card = model_card(card_study(), "");
  EXPECT_NE(card.find("````\nupon ``` a <b>time</b>\n````\n"), card.npos);
  EXPECT_NE(card.find("# small\\_q4: \"x\"\n"), card.npos);
}

TEST(Card, SeveralModelsShareOne) {
  Study study = example_study();
  const std::string card = model_card(study, "");
  EXPECT_NE(card.find("# An example\n"), card.npos);
  EXPECT_NE(card.find("- **small**"), card.npos);
  EXPECT_NE(card.find("- **large**"), card.npos);
  EXPECT_NE(card.find("## Is it better?"), card.npos);
}

}  // namespace
}  // namespace pith::report
