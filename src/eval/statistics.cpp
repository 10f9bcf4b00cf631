#include "eval/statistics.h"

#include <array>
#include <cmath>

#include "core/error.h"

namespace pith {
namespace {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / double(values.size());
}

}  // namespace

double student_t95(dim degrees_of_freedom) {
  PITH_CHECK(degrees_of_freedom >= 1);
  static constexpr std::array<double, 10> kSmall = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706,
                                                    2.4469,  2.3646, 2.3060, 2.2622, 2.2281};
  if (degrees_of_freedom <= dim(kSmall.size())) return kSmall[std::size_t(degrees_of_freedom - 1)];
  // Cornish-Fisher expansion about the normal quantile (Abramowitz and Stegun 26.7.5).
  const double z = 1.959963984540054;
  const double n = double(degrees_of_freedom);
  const double z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

double standard_error(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double n = double(values.size());
  return std::sqrt(squares / (n - 1) / n);
}

Interval cluster_mean(std::span<const double> values, std::span<const dim> sizes) {
  PITH_CHECK(!values.empty());
  Interval result;
  result.mean = mean_of(values);
  if (sizes.size() < 2) {
    if (values.size() >= 2) result.half_width = student_t95(dim(values.size()) - 1) * standard_error(values);
    return result;
  }
  double squares = 0;
  std::size_t at = 0;
  for (const dim size : sizes) {
    double deviation = 0;
    for (dim i = 0; i < size; ++i) deviation += values[at++] - result.mean;
    squares += deviation * deviation;
  }
  PITH_CHECK(at == values.size());
  const double clusters = double(sizes.size());
  const double variance = clusters / (clusters - 1) * squares / (double(values.size()) * double(values.size()));
  result.half_width = student_t95(dim(sizes.size()) - 1) * std::sqrt(variance);
  return result;
}

double quantile_of_sorted(std::span<const double> sorted, double q) {
  PITH_CHECK(!sorted.empty() && q >= 0 && q <= 1);
  const double position = q * double(sorted.size() - 1);
  const auto below = std::size_t(position);
  const std::size_t above = below + 1 < sorted.size() ? below + 1 : below;
  return sorted[below] + (position - double(below)) * (sorted[above] - sorted[below]);
}

Interval exp_of(const Interval& x) {
  const double value = std::exp(x.mean);
  return {value, value * x.half_width};
}

Interval sqrt_of(const Interval& x) {
  const double value = std::sqrt(x.mean);
  return {value, value > 0 ? x.half_width / (2 * value) : 0};
}

Interval scaled(const Interval& x, double factor) { return {x.mean * factor, x.half_width * std::fabs(factor)}; }

}  // namespace pith
