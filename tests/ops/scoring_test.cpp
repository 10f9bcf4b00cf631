#include "ops/scoring.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "ops/logsumexp.h"

namespace pith {
namespace {

constexpr double kLn2 = 0.69314718055994531;

std::vector<float> noise(dim n, double scale, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(std::size_t(n), 0.0f);
  for (float& v : x) v = float(scale * rng.normal());
  return x;
}

TEST(LogSumExp, ExponentialsAgreeWithTheLibrary) {
  for (int i = 0; i <= 8000; ++i) {
    const float x = -0.01f * float(i);
    const float row[] = {0, x};
    const double got = sum_exp(row, 2, 0) - 1;
    // 1 + e is exact enough in f64 only for the larger ones; the bound is relative to the sum
    ASSERT_NEAR(got, std::exp(double(x)), 1e-7 * std::exp(double(x)) + 3e-16) << x;
  }
}

TEST(LogSumExp, LongRowsAgreeWithDoublePrecision) {
  for (const dim n : {1, 7, 8, 9, 49152, 50257}) {
    const auto x = noise(n, 4, std::uint64_t(n));
    float max = -std::numeric_limits<float>::infinity();
    for (const float v : x) max = std::max(max, v);
    double expected = 0;
    for (const float v : x) expected += std::exp(double(v) - double(max));
    const RowScan scan = scan_row(x.data(), n);
    EXPECT_TRUE(scan.finite);
    EXPECT_EQ(scan.max, max);
    EXPECT_NEAR(sum_exp(x.data(), n, max), expected, 2e-7 * expected) << n;
  }
}

TEST(LogSumExp, NonFiniteValuesAreSeenEverywhere) {
  for (const dim n : {1, 8, 13, 16, 21}) {
    for (dim at = 0; at < n; ++at) {
      for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
        std::vector<float> x(std::size_t(n), 1.5f);
        x[std::size_t(at)] = bad;
        EXPECT_FALSE(scan_row(x.data(), n).finite) << n << " " << at << " " << bad;
      }
    }
  }
}

TEST(Scoring, UniformLogitsCostTheLogOfTheVocabulary) {
  const std::vector<float> x(50257, -3.25f);
  EXPECT_NEAR(score_row(x.data(), 50257, 17).nll, 10.8249051197, 1e-9);  // ln 50257
}

TEST(Scoring, TwoTokens) {
  // odds 1 : 3
  const float x[] = {0, 1.0986122886681098f};
  EXPECT_NEAR(score_row(x, 2, 0).nll, 1.3862943611, 2e-7);  // ln 4
  EXPECT_NEAR(score_row(x, 2, 1).nll, 0.2876820724, 2e-7);  // ln 4/3
}

TEST(Scoring, LogitsMayBeLarge) {
  const float x[] = {30000, 29999};
  EXPECT_NEAR(score_row(x, 2, 1).nll, 1.3132616875, 2e-7);  // 1 + ln(1 + 1/e)
}

TEST(Scoring, DivergenceOfTwoTokens) {
  // base (1/2, 1/2), model (1/4, 3/4): KL = ln 2 - (ln 3) / 2
  const float base[] = {0, 0}, model[] = {0, 1.0986122886681098f};
  const RowDivergence got = compare_rows({model, 2, base, 2}, 0);
  EXPECT_NEAR(got.kl, 0.1438410362, 1e-7);
  EXPECT_NEAR(got.delta_p, -0.25, 1e-7);
  EXPECT_NEAR(got.nll, 2 * kLn2, 2e-7);
  EXPECT_NEAR(got.base_nll, kLn2, 1e-9);
  EXPECT_FALSE(got.same_top);
}

TEST(Scoring, SharedTopTokens) {
  // The base's order is 0, 1, ... 11; the model has 0 and 5 changed: of its first five, 5 1 2 3 4, four are the base's,
  // of its first ten all but one, since 0 has gone to the end.
  std::vector<float> base, model;
  for (int i = 0; i < 12; ++i) base.push_back(float(-i));
  model = base;
  model[5] = 1;
  model[0] = -20;
  const RowDivergence got = compare_rows({model.data(), 12, base.data(), 12}, 3);
  EXPECT_FALSE(got.same_top);
  EXPECT_EQ(got.top5, 0.8);
  EXPECT_EQ(got.top10, 0.9);
  // Equal values: the lower index is the likelier. Fewer than five tokens: all are among them.
  const float even[] = {0, 0}, other[] = {0, 1};
  EXPECT_TRUE(compare_rows({even, 2, even, 2}, 0).same_top);
  EXPECT_EQ(compare_rows({even, 2, other, 2}, 0).top5, 1.0);
}

TEST(Scoring, DivergenceIsNotSymmetric) {
  // base (1/4, 3/4), model (1/2, 1/2): KL = 3/4 ln 3 - ln 2
  const float base[] = {0, 1.0986122886681098f}, model[] = {0, 0};
  EXPECT_NEAR(compare_rows({model, 2, base, 2}, 1).kl, 0.1308120360, 1e-7);
}

TEST(Scoring, ARowDivergesFromItselfByExactlyNothing) {
  for (const dim n : {5, 512, 49153}) {
    const auto x = noise(n, 5, 3);
    const RowDivergence got = compare_rows({x.data(), n, x.data(), n}, 2);
    EXPECT_EQ(got.kl, 0.0);
    EXPECT_EQ(got.delta_p, 0.0);
    EXPECT_EQ(got.nll - got.base_nll, 0.0);
    EXPECT_TRUE(got.same_top);
  }
}

TEST(Scoring, AShiftOfAllLogitsChangesNothing) {
  const float base[] = {1, 2, 3}, model[] = {65, 66, 67};
  const RowDivergence got = compare_rows({model, 3, base, 3}, 1);
  EXPECT_NEAR(got.kl, 0, 1e-9);
  EXPECT_NEAR(got.delta_p, 0, 1e-9);
}

TEST(Scoring, SmallDivergencesAreNotLostInRounding) {
  const dim n = 49152;
  const auto base = noise(n, 3, 11), shift = noise(n, 0.01, 12);
  auto model = base;
  for (dim i = 0; i < n; ++i) model[std::size_t(i)] += shift[std::size_t(i)];
  double sum_p = 0, sum_q = 0, expected = 0;
  for (dim i = 0; i < n; ++i) {
    sum_p += std::exp(double(base[std::size_t(i)]));
    sum_q += std::exp(double(model[std::size_t(i)]));
  }
  for (dim i = 0; i < n; ++i) {
    const double p = std::exp(double(base[std::size_t(i)])) / sum_p;
    const double q = std::exp(double(model[std::size_t(i)])) / sum_q;
    expected += p * std::log(p / q);
  }
  EXPECT_GT(expected, 1e-5);
  EXPECT_NEAR(compare_rows({model.data(), n, base.data(), n}, 5).kl, expected, 1e-3 * expected);
}

TEST(Scoring, PaddingRowsAreLeftOutOfTheComparison) {
  const float base[] = {0, 0}, model[] = {0, 0, 0, 0};
  const RowDivergence got = compare_rows({model, 4, base, 2}, 0);
  EXPECT_EQ(got.kl, 0.0);
  EXPECT_NEAR(got.nll, 2 * kLn2, 1e-9);  // each model's own likelihood is over its whole row
  EXPECT_NEAR(got.base_nll, kLn2, 1e-9);
}

TEST(Scoring, NonFiniteRowsAreReported) {
  const float good[] = {0, 1}, bad[] = {0, std::nanf("")};
  EXPECT_FALSE(score_row(bad, 2, 0).finite);
  EXPECT_FALSE(compare_rows({bad, 2, good, 2}, 0).finite);
  EXPECT_FALSE(compare_rows({good, 2, bad, 2}, 0).finite);
  EXPECT_TRUE(compare_rows({good, 2, good, 2}, 0).finite);
}

}  // namespace
}  // namespace pith
