// What is read off rows of logits: log-likelihoods, and the divergence between two rows.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

// One row of logits, normalized. Nothing else is meaningful when it is not finite.
struct RowScore {
  bool finite = true;
  double nll = 0;  // of the target, over the whole row
};
RowScore score_row(const float* logits, dim vocab, Token target);

struct RowDivergence {
  bool finite = true;
  double nll = 0, base_nll = 0;  // over each whole row
  double kl = 0;                 // KL(base || model) over the first `common` entries of both
  double delta_p = 0;            // p(target) of the model less that of the base, over the same
  bool same_top = true;
  double top5 = 1, top10 = 1;  // of the 5 (10) likeliest tokens of either, the share that both have
};
struct RowPair {
  const float* model;
  dim model_vocab;
  const float* base;
  dim base_vocab;
};
// target < the smaller vocabulary.
RowDivergence compare_rows(const RowPair& pair, Token target);

}  // namespace pith
