// RIA's score of a value: its share of its row and of its column, times a power of its input's size.
#pragma once
#include "compress/prune/pruned_matrix.h"

namespace pith {

ScoreRow ria_scores(const ScaledMatrix& matrix, double power);
OptionSpec ria_power_option();

}  // namespace pith
