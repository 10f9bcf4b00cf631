// Pruning column by column, where later columns make up for what was dropped and rounded before (SparseGPT): the walk
// of quantize/error_feedback.h with zeros among its codes. A value t costs cost * t^2 to drop; in each block of columns
// the cheapest go, or in each pattern's neighbours when their turn comes.
#pragma once
#include "compress/prune/pruned_matrix.h"
#include "compress/quantize/error_feedback.h"

namespace pith {

struct SparseFeedbackResult {
  std::vector<std::byte> rows;     // encoded
  std::vector<std::uint8_t> kept;  // (rows, cols)
};
// feedback: of the columns in their own order. In formats with ranges the matrix is pruned first, so that its ranges
// fit what stays; then a second walk rounds that column by column, each making up for what was dropped and rounded
// before.
SparseFeedbackResult prune_with_feedback(const ScaledMatrix& matrix, const Feedback& feedback, const Pruning& pruning);

}  // namespace pith
