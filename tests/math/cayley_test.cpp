// Descent among orthogonal matrices.
#include "math/cayley.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"

namespace pith {
namespace {

using Square = std::vector<double>;

double off_orthogonal(const Square& x, dim n) {
  double worst = 0;
  for (dim i = 0; i < n; ++i)
    for (dim j = 0; j < n; ++j) {
      double dot = i == j ? -1 : 0;
      for (dim k = 0; k < n; ++k) dot += x[std::size_t(k * n + i)] * x[std::size_t(k * n + j)];
      worst = std::max(worst, std::fabs(dot));
    }
  return worst;
}

// In the plane a step of rate a along the gradient ((0, g), (0, 0)) at the identity turns by 2 atan(a g / 4): the
// Cayley transform of w = ((0, -g), (g, 0)) / 2.
TEST(Cayley, TurnsThePlaneByTheTransformsAngle) {
  CayleyDescent descent(2);
  descent.step({0, 0.4, 0, 0}, 0.5);
  const double angle = 2 * std::atan(0.5 * 0.4 / 4);
  EXPECT_NEAR(descent.matrix()[0], std::cos(angle), 1e-8);
  EXPECT_NEAR(descent.matrix()[1], -std::sin(angle), 1e-8);
  EXPECT_NEAR(descent.matrix()[2], std::sin(angle), 1e-8);
}

// The nearest orthogonal matrix to a given one of determinant 1 is itself: |x - q|^2 falls to nothing.
TEST(Cayley, FindsAnOrthogonalMatrix) {
  constexpr dim kSize = 12;
  Rng rng(4);
  CayleyDescent to(kSize), descent(kSize);
  for (int i = 0; i < 5; ++i) {  // some orthogonal matrix
    Square random(kSize * kSize);
    for (double& v : random) v = rng.normal();
    to.step(random, 1);
  }
  const Square& q = to.matrix();
  EXPECT_LT(off_orthogonal(q, kSize), 1e-12);
  const auto distance = [&] {
    double sum = 0;
    for (std::size_t i = 0; i < q.size(); ++i) sum += (descent.matrix()[i] - q[i]) * (descent.matrix()[i] - q[i]);
    return sum;
  };
  const double before = distance();
  EXPECT_GT(before, 1);
  for (int i = 0; i < 200; ++i) {
    Square gradient(q.size());
    for (std::size_t k = 0; k < q.size(); ++k) gradient[k] = 2 * (descent.matrix()[k] - q[k]);
    descent.step(gradient, 0.1);
    ASSERT_LT(off_orthogonal(descent.matrix(), kSize), 1e-12);
  }
  EXPECT_LT(distance(), 1e-6 * before);
}

}  // namespace
}  // namespace pith
