#include "eval/paired.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pith {
namespace {

TEST(Paired, AllSignsOfThreeWindows) {
  // Of the 8 patterns of signs of 1, 2, 4 only ++ + and - - - reach a sum of 7: p = 2 / 8.
  const std::vector<double> d = {1, 2, 4};
  const std::vector<dim> tokens = {10, 10, 10};
  const PairedTest test = paired_test(d, tokens, 1);
  EXPECT_DOUBLE_EQ(test.p_value, 0.25);
  EXPECT_DOUBLE_EQ(test.difference, 7.0 / 30);
  // Every mean of three drawn windows lies between the least and the largest of them.
  EXPECT_GE(test.low, 0.1);
  EXPECT_LE(test.high, 0.4);
}

TEST(Paired, EqualModelsDoNotDiffer) {
  const std::vector<double> d(6, 0.0);
  const std::vector<dim> tokens(6, 5);
  const PairedTest test = paired_test(d, tokens, 1);
  EXPECT_EQ(test.difference, 0);
  EXPECT_EQ(test.low, 0);
  EXPECT_EQ(test.high, 0);
  EXPECT_EQ(test.p_value, 1);
}

TEST(Paired, OneWindowSaysNothing) {
  const double d = 3;
  const dim tokens = 4;
  const PairedTest test = paired_test(std::span(&d, 1), std::span(&tokens, 1), 1);
  EXPECT_EQ(test.difference, 0.75);
  EXPECT_EQ(test.p_value, 1);
  EXPECT_TRUE(std::isinf(test.low) && std::isinf(test.high));
}

TEST(Paired, ManyWindowsGiveTheNormalInterval) {
  // Differences +1 and 3 in turn over 200 windows of one token: mean 2, standard error 1 / sqrt(200). The bootstrap of
  // 10000 samples knows its ends to a few percent of their distance.
  std::vector<double> d;
  for (int i = 0; i < 200; ++i) d.push_back(i % 2 == 0 ? 1 : 3);
  const std::vector<dim> tokens(200, 1);
  const PairedTest test = paired_test(d, tokens, 7);
  EXPECT_NEAR(test.low, 2 - 1.96 / std::sqrt(200.0), 0.015);
  EXPECT_NEAR(test.high, 2 + 1.96 / std::sqrt(200.0), 0.015);
  EXPECT_DOUBLE_EQ(test.p_value, 1.0 / 10001);
  const PairedTest again = paired_test(d, tokens, 7);
  EXPECT_EQ(again.low, test.low);
}

TEST(Paired, MirroredDifferencesMirrorTheAnswer) {
  std::vector<double> d, mirrored;
  for (int i = 0; i < 20; ++i) d.push_back(std::sin(3.0 * i) + 0.2);
  for (const double x : d) mirrored.push_back(-x);
  const std::vector<dim> tokens(20, 3);
  const PairedTest a = paired_test(d, tokens, 5), b = paired_test(mirrored, tokens, 5);
  EXPECT_DOUBLE_EQ(a.difference, -b.difference);
  EXPECT_NEAR(a.low, -b.high, 1e-12);
  EXPECT_DOUBLE_EQ(a.p_value, b.p_value);
}

TEST(Paired, HolmStepsDown) {
  const std::vector<double> p = {0.04, 0.01, 0.03};
  const std::vector<double> adjusted = holm_adjusted(p);  // 0.01 * 3, 0.03 * 2, 0.04 * 1 but not below the one before
  EXPECT_NEAR(adjusted[1], 0.03, 1e-15);
  EXPECT_NEAR(adjusted[2], 0.06, 1e-15);
  EXPECT_NEAR(adjusted[0], 0.06, 1e-15);
}

}  // namespace
}  // namespace pith
