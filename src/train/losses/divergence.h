// How far a student's distribution is from a teacher's. Each is one function and one line in divergences.def.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

struct DivergenceOptions {
  double beta = 0.5;   // jsd: how much of the mixture is the teacher's
  double alpha = 0.1;  // skewed: how much of the other distribution is mixed in
  double gamma = -1;   // cakld: how much is reverse; negative: each token's largest teacher probability
};

// Two distributions as log-probabilities, f32, over the same n things; -inf for 0 in the teacher's.
struct DivergenceRow {
  const float* log_p = nullptr;  // the teacher's
  const float* log_q = nullptr;  // the student's, finite
  dim n = 0;
  bool rest = false;  // the last is no single token
};

struct Divergence {
  const char* name;
  const char* summary;
  const char* paper;
  // The value; slope[i] = q_i * its derivative by q_i, up to the same multiple of q_i for all i: the gradient by the
  // student's logits is slope_i - q_i * (sum of slopes).
  double (*terms)(const DivergenceRow& row, const DivergenceOptions& options, float* slope);
};

const std::vector<const Divergence*>& divergences();
const Divergence& divergence_or_throw(std::string_view name);     // Error(input) that lists the names
void check_divergence_options(const DivergenceOptions& options);  // Error(input) where one is out of range

}  // namespace pith
