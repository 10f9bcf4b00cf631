#include "math/second_moment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/rng.h"

namespace pith {

TEST(SecondMoment, ByHand) {
  const std::vector<float> x = {1, 2, 3, -1, 0, 4};  // two rows of three
  SecondMoment m(3);
  m.add(x.data(), 2);
  std::vector<double> out(9);
  m.copy_to(out.data());
  EXPECT_EQ(out, (std::vector<double>{2, 2, -1, 2, 4, 6, -1, 6, 25}));
  EXPECT_EQ(m.rows(), 2);
}

// Sizes that are no multiple of the tiles, several pieces and several calls.
TEST(SecondMoment, IsTheDefinition) {
  for (const dim n : {1, 16, 37, 130}) {
    const dim rows = 601;
    Rng rng(7);
    std::vector<float> x(std::size_t(rows * n));
    for (float& v : x) v = float(rng.normal());
    SecondMoment m(n);
    m.add(x.data(), 300);
    m.add(x.data() + 300 * n, 301);
    for (dim i = 0; i < n; ++i)
      for (dim j = 0; j < n; ++j) {
        double expected = 0;
        for (dim r = 0; r < rows; ++r)
          expected += double(x[std::size_t(r * n + i)]) * double(x[std::size_t(r * n + j)]);
        ASSERT_NEAR(m.at(i, j), expected, 2e-3) << n << ": " << i << ", " << j;  // f32 sums of 256 terms near 1
      }
  }
}

TEST(SecondMoment, TurnedIsThatOfTurnedRows) {
  const dim n = 40, rows = 90;
  Rng rng(9);
  std::vector<float> x(std::size_t(rows * n)), turned(x.size());
  for (float& v : x) v = float(rng.normal());
  const Rotation q(n, 3);
  for (dim r = 0; r < rows; ++r) {
    std::vector<double> row(x.begin() + r * n, x.begin() + (r + 1) * n);
    q.apply(row.data());
    std::transform(row.begin(), row.end(), turned.begin() + r * n, [](double v) { return float(v); });
  }
  SecondMoment a(n), b(n);
  a.add(x.data(), rows);
  b.add(turned.data(), rows);
  const SecondMoment got = a.turned(q);
  EXPECT_EQ(got.rows(), rows);
  for (dim i = 0; i < n; ++i)
    for (dim j = 0; j < n; ++j) ASSERT_NEAR(got.at(i, j), b.at(i, j), 1e-3) << i << ' ' << j;  // sums of f32 near 90
}

TEST(SecondMoment, SameBitsForAnyNumberOfThreads) {
  const dim n = 70, rows = 300;
  Rng rng(8);
  std::vector<float> x(std::size_t(rows * n));
  for (float& v : x) v = float(rng.normal());
  const int before = num_threads();
  std::vector<double> first;
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    SecondMoment m(n);
    m.add(x.data(), rows);
    std::vector<double> out(std::size_t(n * n));
    m.copy_to(out.data());
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << threads;
  }
  set_num_threads(before);
}

}  // namespace pith
