#include "compress/allocate/solver.h"

#include <algorithm>

#include "core/error.h"

namespace pith {

namespace {

// Options no other is better than on both counts, and of those the corners of the lower convex hull; by size.
std::vector<std::size_t> hull_of(const std::vector<Option>& options) {
  std::vector<std::size_t> order(options.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return options[a].bytes != options[b].bytes ? options[a].bytes < options[b].bytes
                                                : options[a].cost < options[b].cost;
  });
  std::vector<std::size_t> hull;
  const auto slope = [&](std::size_t a, std::size_t b) {
    return (options[a].cost - options[b].cost) / double(options[b].bytes - options[a].bytes);
  };
  for (const std::size_t next : order) {
    if (!hull.empty() && options[next].cost >= options[hull.back()].cost) continue;
    if (!hull.empty() && options[next].bytes == options[hull.back()].bytes) continue;
    while (hull.size() >= 2 && slope(hull.back(), next) >= slope(hull[hull.size() - 2], hull.back())) hull.pop_back();
    hull.push_back(next);
  }
  return hull;
}

struct Step {  // of one item to the next corner of its hull
  std::size_t item;
  dim bytes;
  double gain_per_byte;
};

}  // namespace

std::vector<std::size_t> choose_within(const std::vector<std::vector<Option>>& items, dim budget_bytes) {
  std::vector<std::vector<std::size_t>> hulls;
  std::vector<Step> steps;
  dim used = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    PITH_CHECK(!items[i].empty());
    const auto& hull = hulls.emplace_back(hull_of(items[i]));
    used += items[i][hull[0]].bytes;
    for (std::size_t k = 1; k < hull.size(); ++k) {
      const Option &from = items[i][hull[k - 1]], &to = items[i][hull[k]];
      steps.push_back({i, to.bytes - from.bytes, (from.cost - to.cost) / double(to.bytes - from.bytes)});
    }
  }
  if (used > budget_bytes) return {};
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.gain_per_byte > b.gain_per_byte; });
  std::vector<std::size_t> at(items.size(), 0);
  std::vector<char> stuck(items.size(), 0);  // a step that did not fit bars the item's later ones
  for (const Step& step : steps) {
    if (stuck[step.item]) continue;
    if (used + step.bytes > budget_bytes) {
      stuck[step.item] = 1;
      continue;
    }
    used += step.bytes;
    ++at[step.item];
  }
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < items.size(); ++i) chosen.push_back(hulls[i][at[i]]);
  return chosen;
}

}  // namespace pith
