#include "eval/tasks/text_scores.h"

#include <gtest/gtest.h>

namespace pith {
namespace {

TEST(RougeL, IsTheFMeasureOfTheLongestCommonSubsequence) {
  // common: the cat on the mat, 5 words; precision 5/6, recall 5/5
  EXPECT_DOUBLE_EQ(rouge_l("The cat sat on the mat.", "the cat on the mat"), 2 * (5. / 6) * 1 / (5. / 6 + 1));
  // common: b c, two of four words and two of three
  EXPECT_DOUBLE_EQ(rouge_l("a b c d", "d b c"), 2 * 0.5 * (2. / 3) / (0.5 + 2. / 3));
  EXPECT_EQ(rouge_l("", "the"), 0);
  EXPECT_EQ(rouge_l("x", ""), 0);
  EXPECT_EQ(rouge_l("It's 3-fold", "it s 3 fold"), 1);
}

TEST(TokenF1, CountsWordsAsOftenAsBothHaveThem) {
  EXPECT_EQ(normalize_answer(" The  Quick, brown-fox! a"), "quick brownfox");
  // two of three words, two of two
  EXPECT_DOUBLE_EQ(token_f1("the big red dog", "red dog"), 2 * (2. / 3) * 1 / (2. / 3 + 1));
  EXPECT_DOUBLE_EQ(token_f1("no no no", "no"), 2 * (1. / 3) * 1 / (1. / 3 + 1));
  EXPECT_EQ(token_f1("cat", "dog"), 0);
  EXPECT_EQ(token_f1("the", "a"), 1);  // nothing is left of either
}

TEST(Numbers, AreTakenOutAsGsm8kAsks) {
  EXPECT_EQ(strict_number("so it is\n#### 1,234.5\nQuestion"), "1,234.5");
  EXPECT_EQ(strict_number("#### -7"), "-7");
  EXPECT_EQ(strict_number("#### none, #### 3"), "3");
  EXPECT_EQ(strict_number("the answer is 3"), "");
  EXPECT_EQ(last_number("9 - 4 = 5 and $18.50."), "$18.50.");
  EXPECT_EQ(last_number("it is -12 apples"), "-12");
  EXPECT_EQ(last_number("only - and . here"), "");
  EXPECT_EQ(last_number("3-4"), "-4");
  EXPECT_EQ(last_number("7"), "7");
  EXPECT_TRUE(same_number("$1,234.", "1234"));
  EXPECT_TRUE(same_number("18", "so\n#### 18"));
  EXPECT_FALSE(same_number("18.0", "18"));
}

}  // namespace
}  // namespace pith
