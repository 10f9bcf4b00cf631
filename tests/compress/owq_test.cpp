#include <gtest/gtest.h>

#include "tests/compress/feedback_support.h"

namespace pith::test {

namespace {

constexpr dim kCols = 96, kRows = 24;

std::vector<float> run(const char* method, const std::vector<float>& w, const std::vector<float>& x,
                       std::vector<std::string> options) {
  options.push_back("range=minmax");
  return compressed_by(method_or_throw(method), format_or_throw("int3_g32"), w, x, kCols, options);
}

}  // namespace

TEST(Owq, NothingKeptIsGptq) {
  const auto x = correlated_inputs(800, kCols, 1), w = normals(kRows * kCols, 2);
  for (const char* order : {"act_order=true", "act_order=false"})
    EXPECT_EQ(run("owq", w, x, {"outliers=0", order}), run("gptq", w, x, {order})) << order;
}

// Float16 misses what the codes leave, up to 4, by 2^-10 at most; feedback passes a few such errors on.
TEST(Owq, AllKeptIsTheMatrix) {
  const auto x = correlated_inputs(800, kCols, 3), w = normals(kRows * kCols, 4);
  const auto got = run("owq", w, x, {"outliers=100"});
  for (std::size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(got[i], w[i], 0x1p-8f) << i;
}

TEST(Owq, DamageFallsWithTheColumnsKept) {
  const auto x = correlated_inputs(800, kCols, 5), w = normals(kRows * kCols, 6);
  const auto h = moments(x, kCols);
  double last = 1e300;
  for (const char* share : {"outliers=0", "outliers=2", "outliers=8", "outliers=25", "outliers=60"}) {
    const double now = damage(w, run("owq", w, x, {share}), h, kCols);
    EXPECT_LT(now, last) << share;
    last = now;
  }
}

// Two inputs that are large: their columns are the ones to keep, and are then next to exact in what they do.
TEST(Owq, KeepsTheColumnsOfLargeInputs) {
  auto x = normals(1000 * kCols, 7);
  for (dim r = 0; r < 1000; ++r)
    for (const dim c : {17, 64}) x[std::size_t(r * kCols + c)] *= 30;
  const auto w = normals(kRows * kCols, 8);
  const auto got = run("owq", w, x, {"outliers=2.08"});  // two of 96
  for (dim r = 0; r < kRows; ++r)
    for (const dim c : {17, 64})
      // What the errors of other columns ask of these is small beside a step (about 0.7), since they are uncorrelated.
      EXPECT_NEAR(got[std::size_t(r * kCols + c)], w[std::size_t(r * kCols + c)], 0.02f);
}

}  // namespace pith::test
