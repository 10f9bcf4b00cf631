// The sums over a row of logits that log-softmax and divergences are made of. Exponentials are f32 (relative
// error below 1e-7), sums are f64 in a fixed order: the same bits on every instruction set.
#pragma once
#include "core/base.h"

namespace pith {

struct RowScan {
  float max = 0;
  bool finite = true;  // false: some value is NaN or infinite, and max means nothing
};
RowScan scan_row(const float* x, dim n);

// sum of exp(x[i] - max), max being the largest of x.
double sum_exp(const float* x, dim n, float max);

struct DifferenceSums {
  double sum = 0;       // of exp(x[i] - max)
  double weighted = 0;  // of exp(x[i] - max) * (x[i] - y[i])
};
DifferenceSums sum_exp_difference(const float* x, const float* y, dim n, float max);

}  // namespace pith
