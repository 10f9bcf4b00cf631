// Rounding whose decisions and ranges are learned, and its backward pass with round() taken for the identity
// (straight-through), single-threaded: value = low + step * clamp(round((w - low) / step + v), 0, top).
#pragma once
#include "core/base.h"

namespace pith {

struct RoundingGroup {       // values that share a range
  const float* w = nullptr;  // (n)
  float* v = nullptr;        // (n) what is added before rounding, in [-0.5, 0.5]; null: 0
  dim n = 0;
  float low = 0, step = 0;  // step 0: all values are low
  float top = 0;            // the largest code
};
void round_group(const RoundingGroup& group, float* out);

struct RangeSlopes {
  float low = 0, high = 0;  // of the loss by the ends of the range, low and low + top * step
};
// dout: the loss by the rounded values. Each v takes a step of `rate` against the sign of its slope, and stays in
// [-0.5, 0.5].
RangeSlopes rounding_backward(const RoundingGroup& group, const float* dout, float rate);

}  // namespace pith
