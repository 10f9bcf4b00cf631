#include "math/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/rng.h"

namespace pith::test {
namespace {

double total(const std::vector<double>& cost, const std::vector<dim>& columns) {
  double sum = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) sum += cost[i * columns.size() + std::size_t(columns[i])];
  return sum;
}

// The six sums by hand: 4 + 0 + 7, 4 + 3 + 1, 3 + 6 + 7, 3 + 3 + 8, 5 + 6 + 1, 5 + 0 + 8.
TEST(Assignment, OfThree) {
  const std::vector<double> cost = {4, 3, 5, 6, 0, 3, 8, 1, 7};
  EXPECT_EQ(least_assignment(cost.data(), 3), (std::vector<dim>{0, 2, 1}));
}

TEST(Assignment, OfOneAndOfNone) {
  const double cost = -2;
  EXPECT_EQ(least_assignment(&cost, 1), std::vector<dim>{0});
  EXPECT_TRUE(least_assignment(nullptr, 0).empty());
}

// Against all 5040 orders; small whole numbers, so that there are equals.
TEST(Assignment, IsTheBestOfAll) {
  constexpr dim kN = 7;
  Rng rng(5);
  for (int round = 0; round < 40; ++round) {
    std::vector<double> cost;
    for (dim i = 0; i < kN * kN; ++i) cost.push_back(round % 2 ? double(rng.next() % 8) : rng.normal());
    std::vector<dim> order(kN);
    std::iota(order.begin(), order.end(), dim(0));
    double least = total(cost, order);
    while (std::next_permutation(order.begin(), order.end())) least = std::min(least, total(cost, order));
    std::vector<dim> got = least_assignment(cost.data(), kN);
    EXPECT_NEAR(total(cost, got), least, 1e-12) << round;
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, (std::vector<dim>{0, 1, 2, 3, 4, 5, 6}));
  }
}

}  // namespace
}  // namespace pith::test
