// What a whole model says of a few tokens of a small vocabulary, and whether another says the same.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "model/forward.h"

namespace pith::test {

inline std::vector<float> logits_of(const Model& model) {
  Forward forward(model);
  KvCache cache(model.config(), 1, 16);
  const std::vector<Token> tokens = {5, 17, 3, 30, 21, 9, 22, 6, 11};
  const Chunk chunk = {0, tokens, 0};
  std::vector<float> out;
  forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
    out.insert(out.end(), logits, logits + rows * model.config().vocab);
  });
  return out;
}

// by: of the largest.
inline void expect_same(const std::vector<float>& a, const std::vector<float>& b, const std::string& what, double by) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double most = 0, worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::fabs(double(a[i])));
    worst = std::max(worst, std::fabs(double(a[i]) - double(b[i])));
  }
  EXPECT_LT(worst, by * most) << what;
}

}  // namespace pith::test
