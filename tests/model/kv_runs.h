// Runs over caches, and what their logits differ by.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "model/forward.h"

namespace pith::test {

constexpr dim kTinyVocab = 96;

inline std::vector<Token> some_tokens(dim n, std::uint64_t seed = 1) {
  Rng rng(seed);
  std::vector<Token> tokens;
  for (dim i = 0; i < n; ++i) tokens.push_back(Token(rng.below(kTinyVocab)));
  return tokens;
}

// Appends `tokens` to a sequence in runs of the given lengths, over and over; all logits.
inline std::vector<float> run(Forward& forward, KvCache& cache, std::span<const Token> tokens, std::vector<dim> lengths,
                              dim sequence = 0) {
  std::vector<float> out;
  for (std::size_t i = 0; !tokens.empty(); ++i) {
    const auto n = std::min(tokens.size(), std::size_t(lengths[i % lengths.size()]));
    const Chunk chunk = {sequence, tokens.first(n), 0};
    forward.run(cache, {&chunk, 1},
                [&](dim, const float* logits, dim rows) { out.insert(out.end(), logits, logits + rows * kTinyVocab); });
    tokens = tokens.subspan(n);
  }
  return out;
}

inline double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    most = std::max(most, std::abs(double(a[i]) - double(b[i])));
  }
  return most;
}

inline double root_mean_square(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += std::pow(double(a[i]) - double(b[i]), 2);
  return std::sqrt(sum / double(a.size()));
}

// The last bits of a product depend on how many rows it has, and a value between two codes may fall to either side:
// what should be equal differs by little against `loss`, what the codec costs. (One value that falls to the other
// side was seen to cost 0.031 of the loss; runs cut at the wrong place cost about all of it.)
inline void expect_same(const std::vector<float>& a, const std::vector<float>& b, double loss,
                        const std::string& what) {
  EXPECT_LT(root_mean_square(a, b), 1e-4 + 0.15 * loss) << what;
}

// A codec that loses nothing.
inline KvPlan lossless(dim head_dim) {
  KvSide side;
  side.head_dim = head_dim;
  side.block_bytes = 4 * head_dim;
  side.encode = [](const KvSide& s, const float* x, std::byte* out) {
    std::memcpy(out, x, std::size_t(4 * s.head_dim));
  };
  side.decode = [](const KvSide& s, const std::byte* in, float* out, float*) {
    std::memcpy(out, in, std::size_t(4 * s.head_dim));
  };
  KvPlan plan;
  plan.encoded = true;
  plan.keys = plan.values = side;
  return plan;
}

}  // namespace pith::test
