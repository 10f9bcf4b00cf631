#include "eval/profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/shared_data.h"

namespace pith {
namespace {

double sum_of(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

TEST(Profile, AModelIsNoDistanceFromItself) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const std::vector<Token> tokens = model.tokenizer().encode("Once upon a time there was a little girl");
  const LayerProfile p = profile_layers(model, &model, tokens);
  EXPECT_EQ(p.errors, std::vector<double>(5, 0.0));
  EXPECT_EQ(p.peaks.size(), 5u);
  for (const double peak : p.peaks) EXPECT_GT(peak, 1);  // the largest is above the root mean square
  EXPECT_NEAR(sum_of(p.activations.shares), 1, 1e-12);
}

TEST(Profile, SixteenBitsAreNearTheBase) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(half, "models/stories260K/stories260K-f16.gguf");
  const Model base = Model::open(path), model = Model::open(half);
  const std::vector<Token> tokens = base.tokenizer().encode("Tom and Lily went to the park");
  const LayerProfile p = profile_layers(model, &base, tokens);
  ASSERT_EQ(p.errors.size(), 5u);
  for (const double error : p.errors) {
    EXPECT_GT(error, 0);
    EXPECT_LT(error, 0.01);  // f16 rounds each weight by at most 2^-11
  }
  EXPECT_TRUE(profile_layers(model, nullptr, tokens).errors.empty());
}

TEST(Profile, TrainedWeightsLieAroundZero) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Histogram h = weight_histogram(Model::open(path));
  EXPECT_NEAR(sum_of(h.shares), 1, 1e-9);
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < h.shares.size(); ++i) {
    const double x = h.low + (double(i) + 0.5) * (h.high - h.low) / double(h.shares.size());
    mean += h.shares[i] * x;
    square += h.shares[i] * x * x;
  }
  EXPECT_NEAR(mean, 0, 0.05);
  EXPECT_NEAR(square, 1, 0.05);  // values are over their root mean square; few lie beyond the ends
}

}  // namespace
}  // namespace pith
