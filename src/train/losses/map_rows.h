// Maps of attention's kind: for each token a distribution over it and those before, softmax of scaled products; and how
// far one is from another.
#pragma once
#include <span>

#include "core/base.h"
#include "model/backward/block_backward.h"

namespace pith {

// One sequence's rows of one head: token i's map is softmax over j <= i of scale * (q_i k_j), softly capped where
// softcap > 0, over the last `window` of them where window > 0.
struct MapSide {
  const float *q = nullptr, *k = nullptr;
  dim q_stride = 0, k_stride = 0, width = 0;
  float scale = 1, softcap = 0;
  dim window = 0;
  float *dq = nullptr, *dk = nullptr;  // strides as q and k; may be one where q and k are
};
// The sum over n tokens of KL(teacher's map, student's); adds weight times its gradient to the student's. Both have one
// window.
double map_divergence(const MapSide& student, const MapSide& teacher, dim n, double weight);

// weight times the mean over tokens and heads of KL(teacher's attention, student's) (MiniLM, arXiv:2002.10957). Both
// have the same numbers of heads and lengths.
double attention_map_loss(const ScoreRows& student, const ScoreRows& teacher, double weight);

}  // namespace pith
