// How near a compressed model is to its original beside divergence: its blocks, and for how long it says the same.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/fidelity/greedy_divergence.h"
#include "eval/fidelity/layer_fidelity.h"
#include "report/json_values.h"

namespace pith::report {

struct FidelityReport {
  std::vector<LayerFidelity> layers;
  dim layer_sequences = 0, layer_tokens = 0;  // what they were measured on: so many of that length
  GreedyDivergence greedy;
  dim prompt_tokens = 0;
};

std::string fidelity_text(const FidelityReport& report);  // two tables
Json json_of(const FidelityReport& report);               // an infinite ratio is null

}  // namespace pith::report
