#include "train/optimizer/adamw.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

namespace pith {

void check_adamw(const AdamW& o) {
  const auto share = [](const char* name, double v) {
    if (!(v >= 0 && v < 1)) throw input_error(name, "expected a number from 0 up to, but not, 1, got {}", v);
  };
  share("beta1", o.beta1);
  share("beta2", o.beta2);
  if (!(o.eps > 0 && o.eps <= 1)) throw input_error("eps", "expected a small number above 0, got {}", o.eps);
  if (!(o.decay >= 0 && o.decay <= 100)) throw input_error("weight decay", "expected 0 to 100, got {}", o.decay);
}

void adamw_update(const AdamW& o, const AdamWStep& step, const AdamWState& s) {
  const auto beta1 = float(o.beta1), beta2 = float(o.beta2), rest1 = float(1 - o.beta1), rest2 = float(1 - o.beta2);
  // rate * (mean / c1) / (sqrt(square / c2) + eps), with the constants taken out of the loop
  const double c1 = 1 - std::pow(o.beta1, double(step.number)), c2 = 1 - std::pow(o.beta2, double(step.number));
  const auto move = float(step.rate / c1 * std::sqrt(c2)), eps = float(o.eps * std::sqrt(c2));
  const auto keep = float(1 - step.rate * o.decay), factor = float(step.gradient_factor);
  for (dim i = 0; i < s.n; ++i) {
    const float g = s.gradients[i] * factor;
    const float mean = beta1 * s.mean[i] + rest1 * g, square = beta2 * s.square[i] + rest2 * g * g;
    s.mean[i] = mean;
    s.square[i] = square;
    if (step.keep_zeros && s.values[i] == 0) continue;
    s.values[i] = keep * s.values[i] - move * mean / (std::sqrt(square) + eps);
  }
}

void adamw_step(const AdamW& o, const AdamWStep& step, const AdamWState& s) {
  parallel_ranges(s.n, 1 << 14, [&](dim begin, dim end) {
    adamw_update(o, step, {s.values + begin, s.gradients + begin, s.mean + begin, s.square + begin, end - begin});
  });
}

double sum_of_squares(const float* x, dim n) {
  constexpr dim kPart = 1 << 16, kLanes = 8;  // one size, whatever the number of threads
  std::vector<double> parts(std::size_t((n + kPart - 1) / kPart));
  parallel_for(dim(parts.size()), [&](dim p) {
    const dim begin = p * kPart, end = std::min(n, begin + kPart);
    double lanes[kLanes] = {};
    for (dim i = begin; i < end; ++i) lanes[(i - begin) % kLanes] += double(x[i]) * double(x[i]);
    parts[std::size_t(p)] = std::accumulate(lanes, lanes + kLanes, 0.0);
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

}  // namespace pith
