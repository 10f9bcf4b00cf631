// What a plan that prunes has to say before work starts.
#pragma once
#include "compress/prepare.h"

namespace pith {

dim values_not_zero(const ModelTensor& t);
// Error(input) where the recipe's parts do not go together with pruning.
void check_pruning(const Model& model, const Recipe& recipe, const Prepared& prepared);
// What a program gains from such a file, and which formats have no exact zero.
std::vector<std::string> notes_on_zeros(const std::vector<TensorPlan>& plans, Container container);
// Whether values of 0 stay 0 beside others, as far as a few rows show.
bool has_exact_zero(const Format& format);

}  // namespace pith
