// Which of several choices to take for each of many items, so that the sum of sizes stays within a budget and the sum
// of costs is least.
#pragma once
#include <vector>

#include "core/base.h"

namespace pith {

struct Option {
  dim bytes = 0;
  double cost = 0;
};

// The index chosen for each item. Greedy along each item's lower convex hull (the most cost saved per byte first),
// which is optimal up to the last step; then what is left of the budget goes to single steps that still fit. Empty
// when even the smallest options do not fit. Equal gains go to the earlier item.
std::vector<std::size_t> choose_within(const std::vector<std::vector<Option>>& items, dim budget_bytes);

}  // namespace pith
