#include "serve/speculative.h"

#include <gtest/gtest.h>

#include <array>

namespace pith {
namespace {

// Draws a guess from `draft` and verifies it, many times; how often each of four tokens came out.
std::array<int, 4> draw(const std::vector<Candidate>& target, const std::vector<Candidate>& draft, int times,
                        int* accepted) {
  Sampler guesser({.temperature = 1, .seed = 11});
  Rng rng(7);
  std::array<int, 4> counts = {};
  for (int i = 0; i < times; ++i) {
    const Verdict verdict = verify_guess(target, draft, guesser.draw(draft), rng);
    ++counts.at(std::size_t(verdict.token));
    *accepted += verdict.accepted;
  }
  return counts;
}

TEST(Speculative, WhatComesOutIsDistributedAsTheTarget) {
  const std::vector<Candidate> target = {{0, 0, 0.5}, {1, 0, 0.3}, {2, 0, 0.2}};
  const std::vector<Candidate> draft = {{3, 0, 0.1}, {1, 0, 0.6}, {0, 0, 0.2}, {2, 0, 0.1}};
  int accepted = 0;
  const auto counts = draw(target, draft, 40000, &accepted);
  // Five standard deviations of a binomial, sqrt(40000 p (1 - p)).
  EXPECT_NEAR(counts[0], 20000, 500);
  EXPECT_NEAR(counts[1], 12000, 459);
  EXPECT_NEAR(counts[2], 8000, 400);
  EXPECT_EQ(counts[3], 0);
  EXPECT_NEAR(accepted, 24000, 490);  // the sum of min(p, q) is 0.2 + 0.3 + 0.1
}

TEST(Speculative, EqualDistributionsAreAlwaysAccepted) {
  const std::vector<Candidate> both = {{2, 0, 0.7}, {0, 0, 0.3}};
  int accepted = 0;
  const auto counts = draw(both, both, 1000, &accepted);
  EXPECT_EQ(accepted, 1000);
  EXPECT_EQ(counts[1] + counts[3], 0);
}

TEST(Speculative, GreedyKeepsTheTargetsToken) {
  Rng rng(1);
  const std::vector<Candidate> target = {{5, 0, 1}}, same = {{5, 0, 1}}, other = {{9, 0, 1}};
  EXPECT_TRUE(verify_guess(target, same, 5, rng).accepted);
  const Verdict verdict = verify_guess(target, other, 9, rng);
  EXPECT_FALSE(verdict.accepted);
  EXPECT_EQ(verdict.token, 5);
}

}  // namespace
}  // namespace pith
