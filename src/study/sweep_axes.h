// A group of a sweep's points: lists of methods, options and sizes, each tried with each other.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "study/sweep_file.h"

namespace pith {

struct SweepAxes {
  std::string name;    // begins the points' names; empty: the methods do
  std::string recipe;  // by name or file; empty: the group is its own
  std::vector<std::string> methods, formats, budgets;
  std::vector<std::pair<std::string, std::vector<std::string>>> options;
};

// In the order methods, options, formats, budgets, the last changing fastest. rest: what all points have; its steps
// stand where there are no methods. Error(input) for unknown names and for methods beside steps.
std::vector<SweepPoint> points_of(const SweepAxes& axes, const RecipeFile& rest);

}  // namespace pith
