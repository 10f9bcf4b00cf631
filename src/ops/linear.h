// y = x W^T + bias for a weight of any kind. Many rows: panels of the weight are widened and packed, then
// multiplied. Few rows (decode): one pass over the stored weight. Inputs may be
// rounded first; where their codes and the weight's are integers, those are multiplied. Same bits for any number of
// threads.
#pragma once
#include "core/weight.h"
#include "formats/sparse.h"  // weight_rows, weight_cols
#include "ops/act/act_codec.h"
#include "ops/low_rank.h"
#include "ops/turn.h"

namespace pith {

// Scratch memory, reused from call to call; independent of the model's size.
struct LinearWorkspace {
  Buffer packed;   // one panel, packed
  Buffer widened;  // per thread: 17 rows in f32
  Buffer inputs;   // x rounded
  Buffer turned;   // x and y of a turned matrix
  Buffer low_rank;
  Buffer scaled;  // y of a matrix with row factors
  dim size_bytes() const {
    return packed.size_bytes() + widened.size_bytes() + inputs.size_bytes() + turned.size_bytes() +
           low_rank.size_bytes() + scaled.size_bytes();
  }
};

struct LinearCall {
  const Weight* weight = nullptr;  // (rows, cols)
  const float* bias = nullptr;     // (rows) or null
  const float* x = nullptr;        // (n, cols)
  dim n = 0;
  float* y = nullptr;  // (n, rows), row i at y + i * y_stride
  dim y_stride = 0;
  bool add = false;                       // y += instead of y =
  const ActPlan* act = nullptr;           // how x is rounded; null: not at all
  float act_scale = 0;                    // where the plan has it fixed
  const Turn* turn = nullptr;             // `weight` stands for this matrix turned back; null: for itself
  const LowRankTerm* low_rank = nullptr;  // added to the matrix; null: nothing
};
void linear(const LinearCall& call, LinearWorkspace& workspace);

}  // namespace pith
