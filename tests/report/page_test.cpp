#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "report/study/pages.h"
#include "tests/report/study_example.h"

namespace pith::report {
namespace {

Study full_study() {
  Study study = example_study();
  study.prompts = {"Once </p><script>"};
  for (ModelRecord* m : {&*study.base, &study.models[0], &study.models[1]}) {
    m->samples = {"upon <b>a</b> time"};
    m->quality->by_position.push_back({32, 16, 10, 2.9});
    m->layers = LayerRecord{.errors = {0.1, 0.3}, .peaks = {3, 4}, .weights = {-4, 4, {0.5, 0.5}}, .activations = {}};
    m->tasks.push_back({"hellaswag", "acc", "dd", 4, 0.5, 0.25, false, "1010"});
  }
  study.models[0].name = "<img src=x onerror=alert(1)>";
  study.models[0].recipe = "steps: [{method: rtn}]\n";
  study.models[0].tensors = {{"attn_q", 0, 0.1}, {"attn_q", 1, 0.2}};
  return study;
}

std::ptrdiff_t count(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator());
}

TEST(Page, HoldsEverythingAndLoadsNothing) {
  const Study study = full_study();
  const std::string page = study_page(std::span(&study, 1), true);
  EXPECT_EQ(count(page, "<script|<img|<link|@import"), 0);
  EXPECT_EQ(count(page, "(src|href)=\"(?!#)"), 0);  // links within the page only
  EXPECT_EQ(count(page, "url\\("), 0);
  for (const char* part : {"Quality against bytes", "Quality against speed", "Is it better?", "Error after each block",
                           "Loss added", "Distribution of the weights", "What they say", "Quantization", "hellaswag"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
}

TEST(Page, IdsAreUniqueAndDrawingsAreNamed) {
  const std::vector<Study> two = {full_study(), full_study()};
  const std::string page = study_page(two, false);
  std::set<std::string> ids;
  const std::regex id(" id=\"([^\"]+)\"");
  for (auto it = std::sregex_iterator(page.begin(), page.end(), id); it != std::sregex_iterator(); ++it)
    EXPECT_TRUE(ids.insert((*it)[1]).second) << (*it)[1];
  const std::regex named("aria-labelledby=\"([^\" ]+) ([^\" ]+)\"");
  std::ptrdiff_t drawings = 0;
  for (auto it = std::sregex_iterator(page.begin(), page.end(), named); it != std::sregex_iterator(); ++it, ++drawings)
    EXPECT_TRUE(ids.contains((*it)[1]) && ids.contains((*it)[2]));
  EXPECT_EQ(drawings, count(page, "<svg "));
  EXPECT_EQ(count(page, "<details"), count(page, "</details>"));
  EXPECT_EQ(count(page, "<section"), count(page, "</section>"));
}

TEST(Page, WhatWasNotMeasuredHasNoPlace) {
  Study study = example_study();
  for (ModelRecord* m : {&*study.base, &study.models[0], &study.models[1]}) {
    m->quality.reset();
    m->speed.reset();
  }
  const std::string page = study_page(std::span(&study, 1), false);
  EXPECT_EQ(count(page, "<figure"), 0);
  EXPECT_EQ(page.find("Is it better?"), std::string::npos);
}

}  // namespace
}  // namespace pith::report
