#include "model/sampler.h"

#include <gtest/gtest.h>

#include <map>

#include "core/error.h"

namespace pith {
namespace {

// ln of the probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625.
const std::vector<float> kLogits = {-0.69314718f, -1.38629436f, -2.07944154f, -2.77258872f, -2.77258872f};

std::map<Token, int> draw(SamplerOptions options, int times, const std::vector<Token>& history = {}) {
  Sampler sampler(options);
  std::map<Token, int> counts;
  for (int i = 0; i < times; ++i) ++counts[sampler.sample(kLogits, history)];
  return counts;
}

TEST(Sampler, GreedyTakesTheMostLikely) {
  EXPECT_EQ(draw({}, 20), (std::map<Token, int>{{0, 20}}));
  Sampler sampler{SamplerOptions{}};
  const std::vector<float> equal = {1, 3, 3, 2};
  EXPECT_EQ(sampler.sample(equal, {}), 1);  // the lower id among equals
}

TEST(Sampler, TemperatureOneDrawsTheProbabilities) {
  const auto counts = draw({.temperature = 1, .seed = 5}, 16000);
  // Five standard deviations of a binomial: sqrt(n p (1 - p)).
  EXPECT_NEAR(counts.at(0), 8000, 316);
  EXPECT_NEAR(counts.at(1), 4000, 274);
  EXPECT_NEAR(counts.at(2), 2000, 209);
  EXPECT_NEAR(counts.at(3), 1000, 153);
  EXPECT_NEAR(counts.at(4), 1000, 153);
}

TEST(Sampler, TemperatureSharpens) {
  // At 0.5 probabilities are squared: 1/4, 1/16, 1/64, 1/256, 1/256 of a sum 0.3359375.
  const auto counts = draw({.temperature = 0.5, .seed = 5}, 16000);
  EXPECT_NEAR(counts.at(0), 11907, 276);
  EXPECT_NEAR(counts.at(1), 2977, 246);
}

TEST(Sampler, TopKKeepsK) {
  const auto counts = draw({.temperature = 1, .top_k = 2}, 3000);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts.at(0), 2000, 129);
}

TEST(Sampler, TopPKeepsTheFewestThatReachP) {
  EXPECT_EQ(draw({.temperature = 1, .top_p = 0.4}, 1000).size(), 1u);
  EXPECT_EQ(draw({.temperature = 1, .top_p = 0.6}, 1000).size(), 2u);
  EXPECT_EQ(draw({.temperature = 1, .top_p = 0.8}, 1000).size(), 3u);
}

TEST(Sampler, MinPDropsTheUnlikely) {
  EXPECT_EQ(draw({.temperature = 1, .min_p = 0.3}, 1000).size(), 2u);
  EXPECT_EQ(draw({.temperature = 1, .min_p = 0.2}, 1000).size(), 3u);
}

TEST(Sampler, RepetitionPenaltyActsOnceOnRecentTokens) {
  Sampler sampler({.repetition_penalty = 2, .repetition_window = 2});
  const std::vector<float> positive = {4, 3, 1};
  EXPECT_EQ(sampler.sample(positive, std::vector<Token>{0, 2, 2}), 0);  // outside the window
  EXPECT_EQ(sampler.sample(positive, std::vector<Token>{2, 0}), 1);     // 4 / 2 < 3
  const std::vector<float> negative = {-1, -1.5f, -9};
  EXPECT_EQ(sampler.sample(negative, std::vector<Token>{0}), 1);                        // -1 * 2 < -1.5
  EXPECT_EQ(sampler.sample(std::vector<float>{5, 2, 0}, std::vector<Token>{0, 0}), 0);  // 2.5, not 1.25
}

TEST(Sampler, SameSeedSameTokens) {
  const auto tokens = [](std::uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<Token> out;
    for (int i = 0; i < 50; ++i) out.push_back(sampler.sample(kLogits, {}));
    return out;
  };
  EXPECT_EQ(tokens(9), tokens(9));
  EXPECT_NE(tokens(9), tokens(10));
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  EXPECT_THROW(Sampler({.temperature = -1}), Error);
  EXPECT_THROW(Sampler({.top_k = -1}), Error);
  EXPECT_THROW(Sampler({.top_p = 0}), Error);
  EXPECT_THROW(Sampler({.min_p = 1.5}), Error);
  EXPECT_THROW(Sampler({.repetition_penalty = 0}), Error);
}

}  // namespace
}  // namespace pith
