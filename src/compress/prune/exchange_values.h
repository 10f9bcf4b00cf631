// Dynamic pruning and growing (DSnoT): a row's dropped values shift the mean of its output by the sum of w * E[x] over
// them. Values are exchanged one for one while that shift shrinks; their number stays.
#pragma once
#include "compress/prune/pattern.h"

namespace pith {

struct ExchangeInputs {
  std::span<const double> mean, variance;  // (cols), of the inputs
  std::span<const float> norms;            // (cols), root mean squares
  double power = 1;                        // of the variance, which makes a value less worth growing
};
// Changes `kept` (cols) of a row. of > 0: within neighbours that a pattern shares. Returns the rounds.
int exchange_values(const ExchangeInputs& in, const float* w, dim of, int most_rounds, std::uint8_t* kept);

}  // namespace pith
