// AdamW: Adam with weight decay of its own (Loshchilov, Hutter, arXiv:1711.05101), bias-corrected.
#pragma once
#include <span>

#include "core/base.h"

namespace pith {

struct AdamW {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double decay = 0;  // of values per step, times the rate
};
void check_adamw(const AdamW& options);  // Error(input)

struct AdamWStep {
  double rate = 0;
  dim number = 1;              // of the step, from 1
  double gradient_factor = 1;  // clipping: gradients count this many times
  bool keep_zeros = false;     // values that are 0 stay 0
};
// n values with their gradients and moments. Threads; the same bits for any number of them.
struct AdamWState {
  float* values = nullptr;
  const float* gradients = nullptr;
  float *mean = nullptr, *square = nullptr;
  dim n = 0;
};
void adamw_step(const AdamW& options, const AdamWStep& step, const AdamWState& state);
void adamw_update(const AdamW& options, const AdamWStep& step, const AdamWState& state);  // the same on this thread

// The sum of squares in a fixed order, f64.
double sum_of_squares(const float* x, dim n);

}  // namespace pith
