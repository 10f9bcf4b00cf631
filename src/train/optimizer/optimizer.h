// The rule by which a step moves values, one of a registry.
#pragma once
#include <string_view>
#include <vector>

#include "train/optimizer/moments.h"

namespace pith {

enum class Optimizer {
  adamw,
  adamw_8bit,  // its moments in 8 bits where a parameter is not small
  sgd,         // with momentum: m = beta1 m + g, v -= rate m
  sign_sgd     // by the signs of a mean: m = beta1 m + (1 - beta1) g, v -= rate sign(m) (Signum, arXiv:1802.04434)
};
Optimizer optimizer_or_throw(std::string_view name);  // Error(input) that lists the names
std::string_view optimizer_name(Optimizer optimizer);
std::vector<std::string_view> optimizer_names();

// What it remembers of n values, all 0: of sgd and sign_sgd a mean alone.
Moments moments_of(Optimizer optimizer, dim n);

// As adamw.h; beta1 and decay count for all rules. Moments: of moments_of.
void take_step(Optimizer optimizer, const AdamW& options, const AdamWStep& step, float* values, const float* gradients,
               Moments& moments);

}  // namespace pith
