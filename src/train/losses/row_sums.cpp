#include "train/losses/row_sums.h"

#include <cmath>

#include "core/error.h"
#include "ops/logsumexp.h"

namespace pith {

void log_softmax(const float* x, dim n, double temperature, float* out) {
  const auto factor = float(1 / temperature);
  for (dim i = 0; i < n; ++i) out[i] = x[i] * factor;
  const float max = scan_row(out, n).max;
  const auto rest = float(std::log(sum_exp(out, n, max)));
  for (dim i = 0; i < n; ++i) out[i] = (out[i] - max) - rest;
}

double cross_entropy_row(const float* z, dim n, dim target, double share, float* gradient) {
  const float max = scan_row(z, n).max;
  const double log_sum = double(max) + std::log(sum_exp(z, n, max));
  const double value = log_sum - double(z[target]);
  for (dim i = 0; i < n; ++i) gradient[i] = float(share * std::exp(double(z[i]) - log_sum));
  gradient[target] -= float(share);
  return value;
}

void check_temperature(double temperature) {
  if (!(temperature > 0 && temperature <= 1000))
    throw input_error("temperature", "expected a number above 0 and up to 1000, got {}", temperature);
}

}  // namespace pith
