#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/rows.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// Llama 3.1: low frequencies are divided by `factor`, high ones stay, those between are blended.
double llama3(double frequency, const RopeChoice& c) {
  const double wavelength = kTurn / frequency, context = double(c.original_context);
  if (wavelength < context / c.high_freq_factor) return frequency;
  if (wavelength > context / c.low_freq_factor) return frequency / c.factor;
  const double smooth = (context / wavelength - c.low_freq_factor) / (c.high_freq_factor - c.low_freq_factor);
  return (1 - smooth) * frequency / c.factor + smooth * frequency;
}

// The (real-valued) pair that turns `turns` times over the original context.
double yarn_pair(double turns, const RopeChoice& c) {
  return double(c.dims) * std::log(double(c.original_context) / (turns * kTurn)) / (2 * std::log(c.base));
}

// YaRN (Peng et al. 2023): pairs that turn often stay, slow ones are divided, with a linear ramp between.
double yarn(double frequency, dim pair, const RopeChoice& c) {
  const double low = std::max(0.0, std::floor(yarn_pair(c.beta_fast, c)));
  double high = std::min(double(c.dims - 1), std::ceil(yarn_pair(c.beta_slow, c)));
  if (high <= low) high = low + 0.001;
  const double ramp = std::clamp((double(pair) - low) / (high - low), 0.0, 1.0);
  return frequency * (1 - ramp) + frequency / c.factor * ramp;
}

}  // namespace

std::vector<double> rope_frequencies(const RopeChoice& c, dim length) {
  double base = c.base;
  if (c.rule == RopeRule::dynamic && c.original_context > 0 && length > c.original_context) {
    const double stretch = c.factor * double(length) / double(c.original_context) - (c.factor - 1);
    base *= std::pow(stretch, double(c.dims) / double(c.dims - 2));
  }
  std::vector<double> result(std::size_t(c.dims / 2));
  for (dim i = 0; i < c.dims / 2; ++i) {
    double f = std::pow(base, -2.0 * double(i) / double(c.dims));
    if (c.rule == RopeRule::linear) f /= c.factor;
    if (c.rule == RopeRule::llama3) f = llama3(f, c);
    if (c.rule == RopeRule::yarn) f = yarn(f, i, c);
    if (!c.divisors.empty()) f /= double(c.divisors[std::size_t(i)]);
    result[std::size_t(i)] = f;
  }
  return result;
}

void RopeTable::fill(std::span<const double> frequencies, double magnitude, std::span<const dim> positions) {
  half_ = dim(frequencies.size());
  data_.reserve(dim(positions.size()) * 2 * half_ * dim(sizeof(float)));
  parallel_for(
      dim(positions.size()),
      [&](dim row) {
        float* out = data_.as<float>() + row * 2 * half_;
        for (dim i = 0; i < half_; ++i) {
          const double angle = double(positions[std::size_t(row)]) * frequencies[std::size_t(i)];
          out[i] = float(std::cos(angle) * magnitude);
          out[half_ + i] = float(std::sin(angle) * magnitude);
        }
      },
      grain_of(64 * half_));
}

void rope_row(float* x, dim heads, dim head_dim, const RopeTable& table, dim row, bool neighbours) {
  for (dim h = 0; h < heads; ++h)
    rotate(x + h * head_dim, table.cosine(row), table.sine(row), table.half(), neighbours);
}

}  // namespace pith
