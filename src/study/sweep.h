// Makes and measures every point of a sweep on every model, under one protocol. What was measured is kept in a journal:
// a sweep that was stopped goes on where it was, and measures nothing twice.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "study/sweep_file.h"

namespace pith {

struct SweepOptions {
  bool measure = true;  // false: only what the journal has
  bool retry = false;   // points that failed before are tried again
};

// One point, when it is done.
struct SweepStep {
  std::size_t number = 0, total = 0;
  std::string model, point;
  bool known = false;                           // from the journal
  const report::ModelRecord* record = nullptr;  // null: it failed
  std::string error;
  double seconds = 0;  // of making and measuring it
};

struct SweepResult {
  std::vector<report::Study> studies;  // one a model, in the plan's order; points that failed are in Study::missing
  std::size_t measured = 0, known = 0, failed = 0, left = 0;
};

// Error(input) where a model itself cannot be measured; a point that cannot is recorded with its error, and the sweep
// goes on. seen(step) after each point.
SweepResult sweep(const SweepPlan& plan, const SweepOptions& options, const std::function<void(const SweepStep&)>& seen,
                  Progress& progress);

// What a sweep would do, without doing it: each point with its container and what the journal says of it.
struct PlannedPoint {
  std::string model, point, container;
  enum class State { left, measured, failed } state = State::left;
};
std::vector<PlannedPoint> sweep_points(const SweepPlan& plan);

}  // namespace pith
