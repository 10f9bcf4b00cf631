// From values to places, and the values worth a tick.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base.h"

namespace pith::report {

struct Axis {
  bool log = false;
  double low = 0, high = 1;  // values at the ends; positive where log
  double from = 0, to = 1;   // places of the ends
  double place(double value) const;
  bool holds(double value) const;
};

// About `count` round values (1, 2, 2.5 or 5 times a power of ten) within [low, high].
std::vector<double> ticks(const Axis& axis, int count);

// Around these values with some room; what is not finite, or not positive where log, is passed over. with_zero: linear
// axes begin at 0.
Axis fitted(std::span<const double> values, bool log, bool with_zero, double from, double to);

std::string tick_text(double value);  // "0.002", "25", "1.5e-05"

}  // namespace pith::report
