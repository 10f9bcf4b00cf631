// Loss by place in the window, in few stretches: one place of a few windows says little.
#pragma once
#include <vector>

#include "report/study/record.h"
#include "report/table.h"

namespace pith::report {

std::vector<PositionScore> stretches_of(const ModelRecord& m);  // at most twelve; m.quality is there
// The models with the reference's windows, as many of the best as a chart has colours for.
std::vector<const ModelRecord*> best_by_place(const Study& study);
// What those lose to the base, or without one their loss, a row a stretch; no rows where there are less than three.
Table positions_table(const Study& study);

}  // namespace pith::report
