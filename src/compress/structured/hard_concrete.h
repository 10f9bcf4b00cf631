// Masks that are learned with noise on them, most of the time exactly 0 or 1: the hard concrete distribution (Louizos
// et al., arXiv:1712.01312), and a set of them of which so many are to stay open (Xia et al., Sheared LLaMA,
// arXiv:2310.06694).
#pragma once
#include <span>
#include <vector>

#include "core/rng.h"

namespace pith {

struct MaskDraw {
  double value = 1, slope = 0;  // and its derivative by log_alpha
};
MaskDraw draw_mask(double log_alpha, double uniform);  // uniform in (0, 1); a value in [0, 1]
MaskDraw chance_open(double log_alpha);                // that a draw is above 0

// n masks, `keep` of which stay. The share of open ones is brought to that by two multipliers: what is minimised is the
// loss + m1 (closed - wanted) + m2 (closed - wanted)^2, both shares of n; the multipliers climb.
class MaskGroup {
 public:
  MaskGroup() = default;
  MaskGroup(dim n, dim keep) : keep_(keep), values_(std::size_t(n), 1.0), gradient_(std::size_t(n)) {
    if (keep >= n) return;  // nothing is learned
    slopes_.resize(std::size_t(n));
    log_alpha_.assign(std::size_t(n), kStart);
    mean_.resize(std::size_t(n));
    square_.resize(std::size_t(n));
  }
  dim keep() const { return keep_; }
  bool learned() const { return !log_alpha_.empty(); }
  void draw(Rng& rng);
  std::span<const double> values() const { return values_; }
  std::span<double> gradient() { return gradient_; }  // of the loss by the values, to be added to
  // way: how much of the way to the wanted share is asked for now, 0 to 1. Clears the gradient.
  void step(double rate, dim number, double way);
  double open_share() const;                                       // the mean of chance_open
  std::span<const float> log_alpha() const { return log_alpha_; }  // empty where nothing is learned
  static constexpr float kStart = 2;  // of log_alpha: open, and near enough to the slope to be learned in few steps

 private:
  dim keep_ = 0;
  std::vector<double> values_, slopes_, gradient_;
  std::vector<float> log_alpha_, mean_, square_;  // and its moments
  float multipliers_[2] = {}, multiplier_moments_[4] = {};
};

}  // namespace pith
