#include "eval/statistics.h"

#include <gtest/gtest.h>

namespace pith {
namespace {

TEST(Statistics, StudentQuantilesOfTheTables) {
  EXPECT_NEAR(student_t95(1), 12.706, 1e-3);
  EXPECT_NEAR(student_t95(4), 2.776, 1e-3);
  EXPECT_NEAR(student_t95(11), 2.201, 1e-3);
  EXPECT_NEAR(student_t95(30), 2.042, 1e-3);
  EXPECT_NEAR(student_t95(120), 1.980, 1e-3);
  EXPECT_NEAR(student_t95(1000000), 1.95997, 1e-4);
}

TEST(Statistics, StandardErrorOfIndependentValues) {
  // deviations -1.5, -0.5, 0.5, 1.5: squares 5, variance 5/3, over 4 values
  const double values[] = {1, 2, 3, 4};
  EXPECT_NEAR(standard_error(values), 0.6454972244, 1e-9);
  const double one[] = {3};
  EXPECT_EQ(standard_error(one), 0);
}

TEST(Statistics, WindowsAreTheClusters) {
  // mean 3; window sums of deviations: (1-3)+(2-3) = -3, (3-3)+(6-3) = 3; variance 2/1 * 18 / 16 = 2.25
  const double values[] = {1, 2, 3, 6};
  const dim sizes[] = {2, 2};
  const Interval got = cluster_mean(values, sizes);
  EXPECT_DOUBLE_EQ(got.mean, 3);
  EXPECT_NEAR(got.half_width, 12.7062 * 1.5, 1e-4);
}

TEST(Statistics, WindowsOfUnequalSizes) {
  // mean 2; deviations' sums: -1, 0, 1; variance 3/2 * 2 / 16 = 0.1875
  const double values[] = {1, 2, 2, 3};
  const dim sizes[] = {1, 2, 1};
  EXPECT_NEAR(cluster_mean(values, sizes).half_width, 4.3027 * 0.4330127, 1e-4);
}

TEST(Statistics, OneWindowCountsTokens) {
  const double values[] = {1, 2, 3, 4};
  const dim sizes[] = {4};
  EXPECT_NEAR(cluster_mean(values, sizes).half_width, 3.1824 * 0.6454972, 1e-4);
}

TEST(Statistics, QuantilesAreLinearBetweenValues) {
  const double sorted[] = {0, 10, 20, 30, 40};
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 0), 0);
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 0.5), 20);
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 0.9), 36);
  EXPECT_DOUBLE_EQ(quantile_of_sorted(sorted, 1), 40);
}

TEST(Statistics, ImagesOfIntervals) {
  const Interval e = exp_of({2, 0.1});
  EXPECT_NEAR(e.mean, 7.38905610, 1e-8);
  EXPECT_NEAR(e.half_width, 0.73890561, 1e-8);
  const Interval root = sqrt_of({0.04, 0.008});
  EXPECT_NEAR(root.mean, 0.2, 1e-12);
  EXPECT_NEAR(root.half_width, 0.02, 1e-12);
  EXPECT_EQ(sqrt_of({0, 0}).half_width, 0);
}

}  // namespace
}  // namespace pith
