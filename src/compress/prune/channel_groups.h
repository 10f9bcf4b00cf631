// Which columns of a matrix share a group of N:M: a pattern that keeps so many of each group loses least where columns
// that matter are spread over the groups (Zhang et al., Plug-and-Play, ICLR 2024).
#pragma once
#include <vector>

#include "core/base.h"

namespace pith {

// How much each value of some rows counts, at least 0 and finite: (rows, cols).
struct ColumnScores {
  dim cols = 0;
  std::vector<float> values;
  dim rows() const { return cols > 0 ? dim(values.size()) / cols : 0; }
};

// Of each `of` columns that stand together in this order (cols, a multiple of `of`) `keep` stay in every row.
struct GroupPattern {
  dim keep = 2, of = 4;
};

// The scores of the values that stay, summed.
double kept_score(const ColumnScores& scores, const std::vector<dim>& order, GroupPattern pattern);

// An order of the columns that keeps more than the present one, or the present one. First columns are dealt to the
// groups from the one that counts most to the one that counts least, every other time from the last group to the first;
// then one column is taken out of each group, and all are given back in the way that keeps most, until `rounds` over
// the places of the groups have passed or one has gained next to nothing.
std::vector<dim> spread_columns(const ColumnScores& scores, GroupPattern pattern, int rounds);

}  // namespace pith
