#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "eval/tasks/run_tasks.h"

namespace pith {

double mcnemar_p_value(dim lost, dim gained) {
  const dim n = lost + gained, fewer = std::min(lost, gained);
  double tail = 0;  // P(at most `fewer` of n)
  for (dim k = 0; k <= fewer; ++k)
    tail += std::exp(std::lgamma(double(n) + 1) - std::lgamma(double(k) + 1) - std::lgamma(double(n - k) + 1) -
                     double(n) * std::log(2.0));
  return std::min(1.0, 2 * tail);
}

TaskFlips compare_answers(const TaskResult& model, const TaskResult& base) {
  if (model.name != base.name || model.items.size() != base.items.size())
    throw input_error("tasks", "expected the same items of one task, got {} of {} and {} of {}", model.items.size(),
                      model.name, base.items.size(), base.name);
  TaskFlips flips;
  flips.task = model.name;
  flips.items = dim(model.items.size());
  for (std::size_t i = 0; i < model.items.size(); ++i) {
    const ItemResult &a = model.items[i], &b = base.items[i];
    if (a.hash != b.hash)
      throw input_error("tasks", "expected the same items of {}, item {} differs", model.name, a.id);
    if (a.answer != b.answer || a.text != b.text || (a.answer < 0 && a.correct != b.correct)) ++flips.changed;
    if (b.correct && !a.correct) ++flips.lost;
    if (a.correct && !b.correct) ++flips.gained;
  }
  flips.p_value = mcnemar_p_value(flips.lost, flips.gained);
  return flips;
}

}  // namespace pith
