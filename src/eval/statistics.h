// Means with confidence intervals over the tokens of an evaluation.
#pragma once
#include <span>
#include <vector>

#include "core/base.h"

namespace pith {

struct Interval {  // mean and half-width of its 95 % confidence interval
  double mean = 0;
  double half_width = 0;
};

// Mean over all values. Values of one window share a topic and are correlated, so windows are the clusters of
// the interval: variance (W / (W - 1)) * sum_w (sum of w - n_w * mean)^2 / N^2, times Student's t for W - 1
// degrees of freedom. A single window has no spread between windows: then tokens count as independent.
// sizes: values per window, in order; they sum to values.size().
Interval cluster_mean(std::span<const double> values, std::span<const dim> sizes);

// Standard error of the mean with every value taken as independent; 0 for fewer than two values.
double standard_error(std::span<const double> values);

// Two-sided 95 % quantile of Student's t.
double student_t95(dim degrees_of_freedom);

// Quantile in [0, 1], linear between order statistics (position q * (n - 1)). Sorted ascending, not empty.
double quantile_of_sorted(std::span<const double> sorted, double q);

// First-order images of an interval under exp and square root (0 stays 0).
Interval exp_of(const Interval& x);
Interval sqrt_of(const Interval& x);
Interval scaled(const Interval& x, double factor);

}  // namespace pith
