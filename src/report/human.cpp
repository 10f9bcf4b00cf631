#include "report/human.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace pith::report {
namespace {

// Three significant digits of a value below 1000.
std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

}  // namespace

std::string human_bytes(dim bytes) {
  if (bytes < 0) return fmt::format("-{}", human_bytes(-bytes));
  if (bytes < 1000) return fmt::format("{} B", bytes);
  static constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = double(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{} {}", three_digits(value), kUnits[unit]);
}

std::string human_seconds(double s) {
  if (s < 0.9995) return fmt::format("{:.0f} ms", s * 1000);
  if (s < 59.95) return fmt::format("{:.1f} s", s);
  const dim whole = dim(std::llround(s));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const dim minutes = dim(std::llround(s / 60));
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string human_count(dim n) {
  const std::string digits = fmt::format("{}", n < 0 ? -n : n);
  std::string out = n < 0 ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string human_parameters(dim n) {
  if (n < 1000) return fmt::format("{}", n);
  if (n < 999'950) return fmt::format("{:.1f} k", double(n) / 1e3);
  if (n < 999'950'000) return fmt::format("{:.1f} M", double(n) / 1e6);
  return fmt::format("{:.2f} B", double(n) / 1e9);
}

std::string human_operations(double n) {
  static constexpr std::array kUnits = {"", " k", " M", " G", " T", " P"};
  std::size_t unit = 0;
  while (n >= 999.5 && unit + 1 < kUnits.size()) {
    n /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f}", n) : three_digits(n) + kUnits[unit];
}

std::string plus_minus(double mean, double half_width, int decimals) {
  return fmt::format("{:.{}f} ± {:.{}f}", mean, decimals, half_width, decimals);
}

}  // namespace pith::report
