#include <gtest/gtest.h>

#include "tests/compress/feedback_support.h"

namespace pith::test {

namespace {

constexpr dim kCols = 96, kRows = 24;

std::vector<float> run(const char* method, const char* format, const std::vector<float>& w, const std::vector<float>& x,
                       const std::vector<std::string>& options) {
  return compressed_by(method_or_throw(method), format_or_throw(format), w, x, kCols, options);
}

}  // namespace

TEST(Spqr, WithoutOutliersIsGptq) {
  const auto x = correlated_inputs(800, kCols, 1), w = normals(kRows * kCols, 2);
  for (const char* format : {"bilevel3_g16", "int3_g32"})
    EXPECT_EQ(run("spqr", format, w, x, {"outliers=0"}), run("gptq", format, w, x, {})) << format;
}

TEST(Spqr, DamageFallsWithTheOutliers) {
  const auto x = correlated_inputs(800, kCols, 3), w = normals(kRows * kCols, 4);
  const auto h = moments(x, kCols);
  double last = 1e300;
  for (const char* share : {"outliers=0", "outliers=2", "outliers=8", "outliers=25", "outliers=100"}) {
    const double now = damage(w, run("spqr", "bilevel3_g16", w, x, {share}), h, kCols);
    EXPECT_LT(now, last) << share;
    last = now;
  }
  EXPECT_LT(last, 1e-4 * damage(w, run("spqr", "bilevel3_g16", w, x, {"outliers=0"}), h, kCols));
}

// Planted outliers, one in some group of each row, are the ones that are found.
TEST(Spqr, FindsWhatSpoilsAGroup) {
  auto w = normals(kRows * kCols, 5);
  for (dim r = 0; r < kRows; ++r) w[std::size_t(r * kCols + (r * 7) % kCols)] = r % 2 ? 25.0f : -25.0f;
  const auto x = correlated_inputs(800, kCols, 6);
  const auto got = run("spqr", "int3_g32", w, x, {"outliers=1", "group=32"});
  for (dim r = 0; r < kRows; ++r) {
    const auto at = std::size_t(r * kCols + (r * 7) % kCols);
    EXPECT_NEAR(got[at], w[at], 3.0f) << r;  // what the errors of its neighbours ask of it
  }
  const auto h = moments(x, kCols);
  EXPECT_LT(damage(w, got, h, kCols), 0.2 * damage(w, run("gptq", "int3_g32", w, x, {}), h, kCols));
}

TEST(Spqr, PolishNeverRaisesTheDamageOfSums) {
  const auto x = correlated_inputs(1000, kCols, 7), w = normals(kRows * kCols, 8);
  const auto h = moments(x, kCols);
  double last = 1e300;
  for (const char* sweeps : {"polish=0", "polish=1", "polish=4"}) {
    const double now = damage(w, run("spqr", "bilevel3_g16", w, x, {"outliers=3", "damping=1e-6", sweeps}), h, kCols);
    EXPECT_LE(now, last * (1 + 1e-5)) << sweeps;
    last = now;
  }
}

}  // namespace pith::test
