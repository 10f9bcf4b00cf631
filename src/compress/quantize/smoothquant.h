// SmoothQuant's factors (arXiv:2211.10438): inputs with large values are divided, and the columns that they meet
// multiplied, until both are about as hard to round.
#pragma once
#include <vector>

#include "compress/method.h"

namespace pith {

// Largest |x| and largest |w| of each column, over the matrices that read one input.
struct ColumnPeaks {
  std::vector<float> inputs, weights;  // (cols)
};
ColumnPeaks column_peaks(std::span<const ScaledMatrix> matrices);

// s_j = inputs_j^alpha / weights_j^(1 - alpha), at least 1e-5; 1 where a column's inputs or weights are all 0.
std::vector<float> smoothing_factors(const ColumnPeaks& peaks, double alpha);

// The expected squared error of the outputs of a sample of rows: of the weights as they are rounded, and of inputs
// whose roundings are spread evenly over a step (of the largest input where the plan has it fixed, else of what is
// usual for a token: no more than four root mean squares). Both are taken as independent between columns.
double smoothing_loss(std::span<const ScaledMatrix> matrices, std::span<const float> factors, const ActPlan& act,
                      const RangeSearch& range, dim most_rows);

}  // namespace pith
