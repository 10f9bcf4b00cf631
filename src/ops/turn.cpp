#include "ops/turn.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

constexpr dim kMostOdd = 256;  // its rotation is (256, 256), made anew for each matrix
constexpr dim kGrain = 4;

// each(row, in double) for n rows.
template <class Each>
void for_rows(const float* from, dim n, dim cols, float* to, const Each& each) {
  parallel_ranges(n, kGrain, [&](dim begin, dim end) {
    std::vector<double> row(static_cast<std::size_t>(cols));
    for (dim i = begin; i < end; ++i) {
      std::copy_n(from + i * cols, cols, row.begin());
      each(row.data());
      std::transform(row.begin(), row.end(), to + i * cols, [](double v) { return float(v); });
    }
  });
}

}  // namespace

bool Turn::can_turn(dim size) { return size >= 1 && size / (size & -size) <= kMostOdd; }

Turn::Turn(std::uint64_t seed, bool outputs, dim rows, dim cols)
    : seed_(seed), rows_(rows), in_((PITH_CHECK(can_turn(cols)), cols), seed) {
  PITH_CHECK(!outputs || can_turn(rows));
  if (outputs) out_.emplace(rows, seed ^ 0x9e3779b97f4a7c15u);
}

void Turn::turn_inputs(const float* from, dim n, float* to) const {
  for_rows(from, n, cols(), to, [&](double* row) { in_.apply(row); });
}

void Turn::undo_outputs(float* y, dim n) const {
  if (out_) for_rows(y, n, rows_, y, [&](double* row) { out_->undo(row); });
}

}  // namespace pith
