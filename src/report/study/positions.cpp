#include "report/study/positions.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/chart/charts.h"

namespace pith::report {

std::vector<PositionScore> stretches_of(const ModelRecord& m) {
  constexpr std::size_t kMost = 12;
  std::vector<PositionScore> out;
  const auto& fine = m.quality->by_position;
  const std::size_t together = (fine.size() + kMost - 1) / kMost;
  for (std::size_t i = 0; i < fine.size(); i += together) {
    PositionScore sum = {fine[i].from, 0, 0, 0};
    for (std::size_t k = i; k < std::min(i + together, fine.size()); ++k) {
      sum.span = fine[k].from + fine[k].span - sum.from;
      sum.tokens += fine[k].tokens;
      sum.nll += fine[k].nll * double(fine[k].tokens);
    }
    sum.nll /= double(std::max<dim>(sum.tokens, 1));
    out.push_back(sum);
  }
  return out;
}

std::vector<const ModelRecord*> best_by_place(const Study& study) {
  std::vector<const ModelRecord*> shown;
  const auto& base = reference_of(study).quality;
  if (!base) return shown;
  for (const ModelRecord& m : study.models)
    if (m.quality && m.quality->by_position.size() == base->by_position.size()) shown.push_back(&m);
  std::stable_sort(shown.begin(), shown.end(),
                   [](const auto* a, const auto* b) { return a->quality->nll.mean < b->quality->nll.mean; });
  if (shown.size() > kGroups) shown.resize(kGroups);
  return shown;
}

Table positions_table(const Study& study) {
  Table table{{{"from position", true}}, {}};
  const std::vector<const ModelRecord*> models = best_by_place(study);
  if (models.empty() || reference_of(study).quality->by_position.size() < 3) return table;
  const std::vector<PositionScore> places = stretches_of(reference_of(study));
  for (const PositionScore& p : places) table.rows.push_back({fmt::to_string(p.from)});
  for (const ModelRecord* m : models) {
    table.columns.push_back({m->name, true});
    const std::vector<PositionScore> own = stretches_of(*m);
    for (std::size_t k = 0; k < places.size(); ++k)
      table.rows[k].push_back(fmt::format("{:.4f}", study.base ? own[k].nll - places[k].nll : own[k].nll));
  }
  return table;
}

}  // namespace pith::report
