#include "train/optimizer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/error.h"

namespace pith {

namespace {

constexpr std::pair<const char*, ScheduleKind> kKinds[] = {
    {"constant", ScheduleKind::constant}, {"linear", ScheduleKind::linear}, {"cosine", ScheduleKind::cosine}};

}  // namespace

ScheduleKind schedule_or_throw(std::string_view name) {
  for (const auto& [known, kind] : kKinds)
    if (name == known) return kind;
  throw input_error("schedule", "expected constant, linear or cosine, got {}", name);
}

std::string_view schedule_name(ScheduleKind kind) { return kKinds[std::size_t(kind)].first; }

double Schedule::rate(dim step) const {
  if (step < warmup) return peak * double(step + 1) / double(warmup + 1);
  if (kind == ScheduleKind::constant) return peak;
  const double passed = std::clamp(double(step - warmup) / double(std::max<dim>(steps - 1 - warmup, 1)), 0.0, 1.0);
  const double left = kind == ScheduleKind::linear ? 1 - passed : 0.5 * (1 + std::cos(std::numbers::pi * passed));
  return peak * (floor + (1 - floor) * left);
}

}  // namespace pith
