// A compressed model and the correction of what that took away, together within a budget of bytes: formats and ranks
// are chosen against each other.
#pragma once
#include "compress/allocate/allocate.h"
#include "compress/lowrank/recover.h"

namespace pith {

struct RecoveredWithin {
  BudgetSplit split;
  Outcome base;
  Recovered correction;  // of the base as it was written; no parts where bits alone are predicted to lose less
};

// Writes the base, as compress does, and finds its correction. recipe: max_bytes is for both, and the calibration is
// there; steps round. Error(input) as FormatBudget and recover.
RecoveredWithin recover_within(const Model& original, const Recipe& recipe, Container container,
                               const std::filesystem::path& target, const RunLimits& limits,
                               Progress& progress = no_progress());

}  // namespace pith
