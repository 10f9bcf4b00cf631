#include "compress/structured/hard_concrete.h"

#include <algorithm>
#include <cmath>

#include "train/optimizer/adamw.h"

namespace pith {

namespace {

constexpr double kTemperature = 2.0 / 3.0, kLow = -0.1, kHigh = 1.1;  // stretched from (0, 1) to this, then cut

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void adam(float* values, const float* gradients, float* mean, float* square, dim n, double rate, dim number) {
  adamw_update({}, {.rate = rate, .number = number}, {values, gradients, mean, square, n});
}

}  // namespace

MaskDraw draw_mask(double log_alpha, double u) {
  const double s = sigmoid((std::log(u) - std::log(1 - u) + log_alpha) / kTemperature);
  const double stretched = s * (kHigh - kLow) + kLow;
  if (stretched <= 0) return {0, 0};
  if (stretched >= 1) return {1, 0};
  return {stretched, s * (1 - s) / kTemperature * (kHigh - kLow)};
}

MaskDraw chance_open(double log_alpha) {
  const double p = sigmoid(log_alpha - kTemperature * std::log(-kLow / kHigh));
  return {p, p * (1 - p)};
}

void MaskGroup::draw(Rng& rng) {
  for (std::size_t i = 0; i < log_alpha_.size(); ++i) {
    const MaskDraw d = draw_mask(double(log_alpha_[i]), (double(rng.next() >> 11) + 0.5) * 0x1p-53);
    values_[i] = d.value;
    slopes_[i] = d.slope;
  }
}

double MaskGroup::open_share() const {
  if (!learned()) return 1;
  double sum = 0;
  for (const float a : log_alpha_) sum += chance_open(double(a)).value;
  return sum / double(log_alpha_.size());
}

void MaskGroup::step(double rate, dim number, double way) {
  const double n = double(log_alpha_.size());
  if (learned()) {
    const double gap = (1 - open_share()) - way * (1 - double(keep_) / n);
    const double pull = double(multipliers_[0]) + 2 * double(multipliers_[1]) * gap;
    std::vector<float> gradient;
    for (std::size_t i = 0; i < log_alpha_.size(); ++i)
      gradient.push_back(float(gradient_[i] * slopes_[i] - pull * chance_open(double(log_alpha_[i])).slope / n));
    adam(log_alpha_.data(), gradient.data(), mean_.data(), square_.data(), dim(gradient.size()), rate, number);
    const float climb[2] = {float(-gap), float(-gap * gap)};
    adam(multipliers_, climb, multiplier_moments_, multiplier_moments_ + 2, 2, rate, number);
  }
  std::fill(gradient_.begin(), gradient_.end(), 0.0);
}

}  // namespace pith
