// The optimizer, schedules and the order of data.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "train/data.h"
#include "train/optimizer/adamw.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/schedule.h"

namespace pith {
namespace {

TEST(AdamW, FollowsThePaperInDoublePrecision) {
  const AdamW o = {.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .decay = 0.1};
  constexpr dim kCount = 50;
  std::vector<float> w(kCount), g(kCount), m(kCount), v(kCount);
  std::vector<double> w2(kCount), m2(kCount), v2(kCount);
  Rng rng(3);
  for (dim i = 0; i < kCount; ++i) w2[std::size_t(i)] = w[std::size_t(i)] = float(rng.normal());
  for (dim t = 1; t <= 20; ++t) {
    const double rate = 0.01 * double(t), factor = 0.5;
    for (float& x : g) x = float(rng.normal());
    adamw_step(o, {rate, t, factor}, {w.data(), g.data(), m.data(), v.data(), kCount});
    for (std::size_t i = 0; i < kCount; ++i) {
      const double slope = factor * double(g[i]);
      m2[i] = 0.8 * m2[i] + 0.2 * slope;
      v2[i] = 0.95 * v2[i] + 0.05 * slope * slope;
      const double mean = m2[i] / (1 - std::pow(0.8, double(t))), square = v2[i] / (1 - std::pow(0.95, double(t)));
      w2[i] -= rate * (mean / (std::sqrt(square) + 1e-6) + 0.1 * w2[i]);
    }
  }
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_NEAR(double(w[i]), w2[i], 3e-6) << i;  // twenty steps in f32
}

TEST(AdamW, FirstStepMovesByTheRate) {
  float w = 1, g = -0.003f, m = 0, v = 0;
  adamw_step({}, {0.5, 1, 1}, {&w, &g, &m, &v, 1});
  EXPECT_NEAR(w, 1.5, 1e-5);
}

TEST(AdamW, KeepsZerosWhereAsked) {
  float w[] = {0, 1}, g[] = {1, 1}, m[2] = {}, v[2] = {};
  adamw_step({}, {0.1, 1, 1, true}, {w, g, m, v, 2});
  EXPECT_EQ(w[0], 0);
  EXPECT_NEAR(w[1], 0.9, 1e-5);
  w[0] = m[0] = v[0] = 0;
  adamw_step({}, {0.1, 1, 1, false}, {w, g, m, v, 1});
  EXPECT_NEAR(w[0], -0.1, 1e-5);
}

// Worked by hand: momentum 0.5, rate 0.1, gradients 2 and -1, and decay 0.2 of the values.
TEST(Optimizers, SgdAndItsSigns) {
  const AdamW o = {.beta1 = 0.5, .decay = 0.2};
  const float first = 2, second = -1;
  Moments plain = moments_of(Optimizer::sgd, 1), sign = moments_of(Optimizer::sign_sgd, 1);
  EXPECT_EQ(plain.size_bytes(), 4);
  float w = 1, u = 1;
  take_step(Optimizer::sgd, o, {0.1, 1}, &w, &first, plain);
  EXPECT_FLOAT_EQ(w, 0.98f - 0.2f);  // m = 2
  take_step(Optimizer::sgd, o, {0.1, 2}, &w, &second, plain);
  EXPECT_FLOAT_EQ(w, 0.78f * 0.98f);  // m = 0.5 * 2 - 1 = 0
  take_step(Optimizer::sign_sgd, o, {0.1, 1}, &u, &first, sign);
  EXPECT_FLOAT_EQ(u, 0.98f - 0.1f);  // m = 1
  take_step(Optimizer::sign_sgd, o, {0.1, 2}, &u, &second, sign);
  EXPECT_FLOAT_EQ(u, 0.88f * 0.98f);  // m = 0.5 - 0.5 = 0: no sign
  float zero = 0;
  take_step(Optimizer::sign_sgd, o, {0.1, 3, 1, true}, &zero, &first, sign);
  EXPECT_EQ(zero, 0);
  for (const auto name : optimizer_names()) EXPECT_EQ(optimizer_name(optimizer_or_throw(name)), name);
  EXPECT_THROW(optimizer_or_throw("adam"), Error);
}

// The map of the paper's authors: 0, 1, and in each decade the middles of evenly cut tenths to ones.
TEST(Moments, LevelsAreTheDynamicMaps) {
  const auto &both = moment_levels(true), &positive = moment_levels(false);
  EXPECT_TRUE(std::is_sorted(both.begin(), both.end()) && std::is_sorted(positive.begin(), positive.end()));
  EXPECT_EQ(both[255], 1);
  EXPECT_EQ(both[127], 0);
  EXPECT_FLOAT_EQ(both[128], 5.5e-7f);  // the lowest decade has one level, the highest 64
  EXPECT_FLOAT_EQ(both[254], 0.99296875f);
  EXPECT_FLOAT_EQ(both[0], -0.99296875f);
  EXPECT_EQ(positive[0], 0);
  EXPECT_FLOAT_EQ(positive[1], 3.25e-7f);  // and twice as many without signs
  EXPECT_FLOAT_EQ(positive[2], 7.75e-7f);
  EXPECT_FLOAT_EQ(positive[254], 0.996484375f);
}

TEST(Moments, CodesAreTheNearestLevels) {
  Rng rng(2);
  std::vector<float> x(256), back(256);
  std::vector<std::uint8_t> codes(256);
  for (const bool is_signed : {true, false}) {
    for (float& v : x) v = float(std::pow(10, -4 * rng.uniform()) * (is_signed && rng.uniform() < 0.5 ? -3 : 3));
    x[7] = 5;
    x[8] = 0;
    const float scale = encode_moments(x.data(), 256, is_signed, codes.data());
    EXPECT_EQ(scale, 5);
    decode_moments(codes.data(), scale, 256, is_signed, back.data());
    EXPECT_EQ(back[7], 5);
    EXPECT_EQ(back[8], 0);
    const auto& levels = moment_levels(is_signed);
    for (std::size_t i = 0; i < 256; ++i) {
      double least = 1e9;
      for (const float l : levels) least = std::min(least, std::fabs(double(x[i]) - 5 * double(l)));
      EXPECT_NEAR(std::fabs(double(x[i]) - double(back[i])), least, 1e-6) << i;
    }
  }
  // A square that is not 0 is never kept as 0, and nothing at all is kept as nothing.
  x.assign(256, 0);
  x[0] = 1, x[1] = 1e-20f;
  encode_moments(x.data(), 256, false, codes.data());
  EXPECT_EQ(codes[1], 1);
  EXPECT_EQ(codes[2], 0);
  x.assign(256, 0);
  EXPECT_EQ(encode_moments(x.data(), 256, true, codes.data()), 0);
  decode_moments(codes.data(), 0, 256, true, back.data());
  EXPECT_EQ(back, x);
}

TEST(SumOfSquares, IsExactWhereSumsAre) {
  std::vector<float> x(200003, 2.0f);
  x.back() = 3;
  EXPECT_EQ(sum_of_squares(x.data(), dim(x.size())), 4.0 * 200002 + 9);
}

TEST(Schedule, RisesAndFalls) {
  const Schedule cosine = {ScheduleKind::cosine, 1.0, 0.1, 4, 15};
  EXPECT_DOUBLE_EQ(cosine.rate(0), 0.2);
  EXPECT_DOUBLE_EQ(cosine.rate(3), 0.8);
  EXPECT_DOUBLE_EQ(cosine.rate(4), 1.0);
  EXPECT_DOUBLE_EQ(cosine.rate(9), 0.55);  // half way
  EXPECT_DOUBLE_EQ(cosine.rate(14), 0.1);
  const Schedule linear = {ScheduleKind::linear, 2.0, 0, 0, 5};
  EXPECT_DOUBLE_EQ(linear.rate(0), 2.0);
  EXPECT_DOUBLE_EQ(linear.rate(1), 1.5);
  EXPECT_DOUBLE_EQ(linear.rate(4), 0.0);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::constant, 3.0, 0, 0, 5}.rate(4)), 3.0);
}

TEST(ShuffledOrder, VisitsEachOncePerPassAndNeedsNoHistory) {
  ShuffledOrder order(100, 7), later(100, 7);
  std::vector<std::size_t> first, second;
  for (dim i = 0; i < 100; ++i) first.push_back(order.at(i));
  for (dim i = 100; i < 200; ++i) second.push_back(order.at(i));
  EXPECT_EQ(std::set<std::size_t>(first.begin(), first.end()).size(), 100u);
  EXPECT_EQ(std::set<std::size_t>(second.begin(), second.end()).size(), 100u);
  EXPECT_NE(first, second);
  EXPECT_EQ(later.at(150), second[50]);
  EXPECT_NE(ShuffledOrder(100, 8).at(0) * 100 + ShuffledOrder(100, 8).at(1), first[0] * 100 + first[1]);
}

}  // namespace
}  // namespace pith
