#include "train/optimizer/optimizer.h"

#include <fmt/format.h>

#include <utility>

#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

constexpr std::pair<const char*, Optimizer> kOptimizers[] = {{"adamw", Optimizer::adamw},
                                                             {"adamw_8bit", Optimizer::adamw_8bit},
                                                             {"sgd", Optimizer::sgd},
                                                             {"sign_sgd", Optimizer::sign_sgd}};

constexpr dim kLeastEightBits = 4096;  // smaller parameters keep moments of f32

// move(m): by how many rates a value goes down, m being its new mean; gradients count new_share in it.
template <class Move>
void momentum_step(const AdamW& o, const AdamWStep& step, float new_share, float* values, const float* gradients,
                   float* means, dim n, const Move& move) {
  const auto beta = float(o.beta1), rate = float(step.rate), keep = float(1 - step.rate * o.decay);
  const float factor = float(step.gradient_factor) * new_share;
  parallel_ranges(n, 1 << 14, [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) {
      means[i] = beta * means[i] + factor * gradients[i];
      if (step.keep_zeros && values[i] == 0) continue;
      values[i] = keep * values[i] - rate * move(means[i]);
    }
  });
}

}  // namespace

Optimizer optimizer_or_throw(std::string_view name) {
  for (const auto& [known, optimizer] : kOptimizers)
    if (name == known) return optimizer;
  throw input_error("optimizer", "expected {}, got {}", fmt::join(optimizer_names(), ", "), name);
}

std::string_view optimizer_name(Optimizer optimizer) { return kOptimizers[std::size_t(optimizer)].first; }

std::vector<std::string_view> optimizer_names() {
  std::vector<std::string_view> names;
  for (const auto& [name, optimizer] : kOptimizers) names.emplace_back(name);
  return names;
}

Moments moments_of(Optimizer optimizer, dim n) {
  if (optimizer == Optimizer::adamw || optimizer == Optimizer::adamw_8bit)
    return Moments(n, optimizer == Optimizer::adamw_8bit && n >= kLeastEightBits);
  Moments mean;
  mean.n = n;
  mean.mean = Buffer(n * dim(sizeof(float)));
  return mean;
}

void take_step(Optimizer optimizer, const AdamW& o, const AdamWStep& step, float* values, const float* gradients,
               Moments& moments) {
  auto* means = moments.mean.as<float>();
  switch (optimizer) {
    case Optimizer::adamw:
    case Optimizer::adamw_8bit:
      return adamw_step(o, step, values, gradients, moments);
    case Optimizer::sgd:
      return momentum_step(o, step, 1, values, gradients, means, moments.n, [](float m) { return m; });
    case Optimizer::sign_sgd:
      return momentum_step(o, step, float(1 - o.beta1), values, gradients, means, moments.n,
                           [](float m) { return float(int(m > 0) - int(m < 0)); });
  }
}

}  // namespace pith
