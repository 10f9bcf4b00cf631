#include "report/chart/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pith::report {

bool Axis::holds(double v) const { return std::isfinite(v) && (!log || v > 0) && v >= low && v <= high; }

double Axis::place(double v) const {
  const auto scale = [&](double x) { return log ? std::log10(x) : x; };
  return from + (to - from) * (scale(v) - scale(low)) / (scale(high) - scale(low));
}

static std::vector<double> linear_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(1, count);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double nice : {1.0, 2.0, 2.5, 5.0})
    if (nice * power >= rough * (1 - 1e-9)) {
      step = nice * power;
      break;
    }
  std::vector<double> out;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
    out.push_back(k * step + 0.0);  // no negative zero
  return out;
}

static std::vector<double> log_ticks(double low, double high, int count) {
  // The fullest set of leading digits that is not fuller than asked for.
  for (const auto& digits : {std::vector<double>{1, 1.5, 2, 3, 4, 6, 8}, {1, 2, 5}, {1, 3}, {1}}) {
    std::vector<double> out;
    for (double power = std::floor(std::log10(low)); power <= std::log10(high); ++power)
      for (const double digit : digits) {
        const double v = digit * std::pow(10, power);
        if (v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9)) out.push_back(v);
      }
    if (int(out.size()) <= count || digits.size() == 1) return out;
  }
  return {};
}

std::vector<double> ticks(const Axis& axis, int count) {
  std::vector<double> out = axis.log ? log_ticks(axis.low, axis.high, count) : linear_ticks(axis.low, axis.high, count);
  const auto step = std::max<std::size_t>(1, (out.size() + std::size_t(count) - 1) / std::size_t(std::max(1, count)));
  if (step == 1) return out;
  std::vector<double> fewer;
  for (std::size_t i = 0; i < out.size(); i += step) fewer.push_back(out[i]);
  return fewer;
}

Axis fitted(std::span<const double> values, bool log, bool with_zero, double from, double to) {
  double low = INFINITY, high = -INFINITY;
  for (const double v : values) {
    if (!std::isfinite(v) || (log && v <= 0)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  if (low > high) low = log ? 0.1 : 0, high = 1;
  Axis axis{.log = log, .low = low, .high = high, .from = from, .to = to};
  if (log) {
    const double room = std::max(std::pow(high / low, 0.09), 1.08);
    axis.low = std::max(low / room, 1e-300);
    axis.high = std::min(high * room, 1e300);
  } else {
    const double room = high > low ? 0.08 * (high - low) : std::max(0.1 * std::fabs(high), 1e-9);
    axis.low = with_zero && low >= 0 ? 0 : low - room;
    axis.high = high + room;
  }
  return axis;
}

std::string tick_text(double v) { return fmt::format("{:.4g}", v); }

}  // namespace pith::report
