#include "synth/answers.h"

#include <gtest/gtest.h>

namespace pith::synth {
namespace {

TEST(Answers, NumbersInAllTheirSpellings) {
  EXPECT_EQ(number_of("1,024"), 1024);
  EXPECT_EQ(number_of("$78.20"), 78.2);
  EXPECT_EQ(number_of(" -3. "), -3);
  EXPECT_EQ(number_of("50 %"), 50);
  EXPECT_EQ(number_of("ten"), std::nullopt);
  EXPECT_EQ(number_of(""), std::nullopt);
  EXPECT_EQ(number_of("1e999"), std::nullopt);
}

TEST(Answers, KindsAreToldByTheGivenAnswer) {
  EXPECT_EQ(kind_of("$5"), AnswerKind::number);
  EXPECT_EQ(kind_of("B"), AnswerKind::letter);
  EXPECT_EQ(kind_of("b"), AnswerKind::text);
  EXPECT_EQ(kind_of("yes"), AnswerKind::text);
}

TEST(Answers, WhatIsMarkedCountsElseTheLastNumber) {
  EXPECT_EQ(final_answer("3 and 4 make 7. The answer is 7 apples, not 8.", AnswerKind::number), "7");
  EXPECT_EQ(final_answer("The answer is $1,234.50.", AnswerKind::number), "$1,234.50");
  EXPECT_EQ(final_answer("so 5\n#### -12", AnswerKind::number), "-12");
  EXPECT_EQ(final_answer("First 3, then 4, so 12", AnswerKind::number), "12");
  EXPECT_EQ(final_answer("The answer is 5. Wait. The answer is 6.", AnswerKind::number), "6");
  EXPECT_EQ(final_answer("The answer is unknown", AnswerKind::number), std::nullopt);
  EXPECT_EQ(final_answer("none at all", AnswerKind::number), std::nullopt);
}

TEST(Answers, LettersStandAlone) {
  EXPECT_EQ(final_answer("A bank has doors. The answer is (B) mall.", AnswerKind::letter), "B");
  EXPECT_EQ(final_answer("Answer: C", AnswerKind::letter), "C");
  EXPECT_EQ(final_answer("B.", AnswerKind::letter), "B");
  EXPECT_EQ(final_answer("A bank", AnswerKind::letter), std::nullopt);
}

TEST(Answers, TextsAreTheRestOfTheLine) {
  EXPECT_EQ(final_answer("Because. The answer is **New York**.\nMore", AnswerKind::text), "New York");
  EXPECT_EQ(final_answer("Answer:\nyes", AnswerKind::text), "yes");
  EXPECT_EQ(final_answer("no mark", AnswerKind::text), std::nullopt);
}

TEST(Answers, SameByValueOrByNormalizedText) {
  EXPECT_TRUE(same_answer("18.0", "18"));
  EXPECT_TRUE(same_answer("$1,000", "1000"));
  EXPECT_FALSE(same_answer("18.1", "18"));
  EXPECT_FALSE(same_answer("many", "18"));
  EXPECT_TRUE(same_answer("The New York!", "new york"));
  EXPECT_TRUE(same_answer("b", "B"));
  EXPECT_TRUE(same_answer("A", "A"));  // which is an article, too
  EXPECT_FALSE(same_answer("B", "A"));
}

}  // namespace
}  // namespace pith::synth
