// How many directions of each matrix stay, when so much of all their weights is to go.
#pragma once
#include <span>
#include <vector>

#include "core/base.h"

namespace pith {

struct RankItem {
  dim rows = 0, cols = 0;
  std::vector<double> values;  // singular values of what is to be kept, from the largest down; for `threshold_ranks`
  double weight = 1;           // what a lost square of them counts, against those of other matrices
};

// From this rank on the factors take no less than the matrix, which then stays as it is.
inline dim break_even_rank(dim rows, dim cols) { return (rows * cols + rows + cols - 1) / (rows + cols); }

// Ranks are multiples of `multiple`, at least one; 0: the matrix stays whole. ratio: of the weights that go.
std::vector<dim> uniform_ranks(std::span<const RankItem> items, double ratio, dim multiple);
// The same for all together: a direction stays where what it carries, per weight that it takes, is above one threshold.
std::vector<dim> threshold_ranks(std::span<const RankItem> items, double ratio, dim multiple);

// Values of the factors, or of the matrix where it stays.
dim values_at_rank(const RankItem& item, dim rank);

}  // namespace pith
