// How the learning rate changes over a run.
#pragma once
#include <string_view>

#include "core/base.h"

namespace pith {

enum class ScheduleKind { constant, linear, cosine };
ScheduleKind schedule_or_throw(std::string_view name);  // Error(input) that lists the names
std::string_view schedule_name(ScheduleKind kind);

// Rises in equal steps over the first `warmup` steps to `peak`, then stays, or falls to floor * peak at the last step.
struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double peak = 2e-5;
  double floor = 0;  // 0 to 1
  dim warmup = 0, steps = 1;
  double rate(dim step) const;  // step: 0 ... steps - 1
};

}  // namespace pith
