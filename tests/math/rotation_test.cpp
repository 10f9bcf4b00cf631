#include "math/rotation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pith {
namespace {

std::vector<double> matrix_of(const Rotation& q) {
  const dim n = q.size();
  std::vector<double> m(static_cast<std::size_t>(n * n));
  for (dim r = 0; r < n; ++r) {
    m[std::size_t(r * n + r)] = 1;
    q.apply(m.data() + r * n);
  }
  return m;
}

TEST(Rotation, IsOrthogonalForAnySize) {
  for (const dim n : {1, 2, 3, 8, 24, 36, 45, 576}) {
    const auto m = matrix_of(Rotation(n, 5));
    double worst = 0;
    for (dim a = 0; a < n; ++a)
      for (dim b = 0; b <= a; ++b) {
        double dot = 0;
        for (dim c = 0; c < n; ++c) dot += m[std::size_t(a * n + c)] * m[std::size_t(b * n + c)];
        worst = std::max(worst, std::fabs(dot - (a == b ? 1 : 0)));
      }
    EXPECT_LT(worst, 1e-13) << n;  // some hundred roundings of 1e-16
  }
}

TEST(Rotation, MixesAllElements) {
  const auto m = matrix_of(Rotation(576, 1));
  for (const double v : m) {
    EXPECT_NE(v, 0);
    EXPECT_LT(std::fabs(v), 0.13);  // an entry of a random unit vector of 9, over the root of 64
  }
}

TEST(Rotation, UndoTakesBack) {
  for (const dim n : {dim(1), dim(16), dim(24), dim(576)}) {
    const Rotation q(n, 5);
    std::vector<double> x(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = double(i % 7) - 2.5;
    const auto before = x;
    q.apply(x.data());
    q.undo(x.data());
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], before[i], 1e-12) << n;  // roundings of values near 3
  }
}

TEST(Rotation, TheSeedDecides) {
  EXPECT_EQ(matrix_of(Rotation(24, 3)), matrix_of(Rotation(24, 3)));
  EXPECT_NE(matrix_of(Rotation(24, 3)), matrix_of(Rotation(24, 4)));
}

TEST(Rotation, HadamardBlocks) {
  std::vector<double> x = {1, 2, 3, 4, 5, 6};  // 6 = 3 * 2: pairs
  hadamard_blocks(x.data(), 6);
  const double h = std::sqrt(0.5);
  const std::vector<double> expected = {3 * h, -h, 7 * h, -h, 11 * h, -h};
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], expected[i], 1e-14);  // a few roundings of values near 8
  hadamard_blocks(x.data(), 6);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], double(i + 1), 1e-14);
}

// One channel a hundred times as large as 1023 others: the largest value over the root mean square.
TEST(Rotation, NothingStandsOut) {
  std::vector<double> x(1024);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 2 ? 1 : -1;
  x[77] = 100;
  const auto crest = [&] {
    double most = 0, squares = 0;
    for (const double v : x) {
      most = std::max(most, std::fabs(v));
      squares += v * v;
    }
    return most / std::sqrt(squares / double(x.size()));
  };
  EXPECT_GT(crest(), 25);
  Rotation(1024, 7).apply(x.data());
  EXPECT_LT(crest(), 4);
}

}  // namespace
}  // namespace pith
