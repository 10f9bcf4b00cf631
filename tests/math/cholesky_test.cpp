#include "math/cholesky.h"

#include <gtest/gtest.h>

#include <vector>

namespace pith {

// By hand: [[2, 1], [0, 3]] times its transpose.
TEST(FactorUpper, TwoByTwo) {
  std::vector<double> h = {5, 3, 3, 9};
  ASSERT_TRUE(factor_upper(h.data(), 2));
  EXPECT_EQ(h, (std::vector<double>{2, 1, 0, 3}));
}

TEST(FactorUpper, ThreeByThree) {
  // R = [[1, 2, 3], [0, 4, 5], [0, 0, 6]]
  std::vector<double> h = {14, 23, 18, 23, 41, 30, 18, 30, 36};
  ASSERT_TRUE(factor_upper(h.data(), 3));
  const std::vector<double> expected = {1, 2, 3, 0, 4, 5, 0, 0, 6};
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(h[i], expected[i], 1e-14) << i;
}

TEST(FactorUpper, RefusesWhatIsNotPositiveDefinite) {
  std::vector<double> indefinite = {1, 2, 2, 1};
  EXPECT_FALSE(factor_upper(indefinite.data(), 2));
  std::vector<double> singular = {0, 0, 0, 1};
  EXPECT_FALSE(factor_upper(singular.data(), 2));
}

}  // namespace pith
