// What a whole model says of a few tokens, and how far two answers lie apart.
#pragma once
#include <cmath>
#include <vector>

#include "model/forward.h"

namespace pith::test {

inline std::vector<float> logits_of(const Model& model, const ActPlan* act = nullptr) {
  Forward forward(Network::of(model, act));
  KvCache cache(model.config(), 1, 16);
  const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
  const Chunk chunk = {0, tokens, 0};
  std::vector<float> out;
  forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
    out.insert(out.end(), logits, logits + rows * model.config().vocab);
  });
  return out;
}

inline double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - b[i], 2);
  return std::sqrt(sum);
}

inline double length(const std::vector<float>& v) { return distance(v, std::vector<float>(v.size(), 0.0f)); }

}  // namespace pith::test
