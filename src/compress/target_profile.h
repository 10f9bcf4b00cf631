// What the programs that load a compressed model ask of it, checked before work starts.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "compress/pipeline.h"

namespace pith {

struct TargetRule {
  Container container;
  std::span<const int> bits;                 // of integer codes in packed layers; empty: any
  dim rows_multiple = 1, cols_multiple = 1;  // of packed layers
};

struct TargetProfile {
  std::string_view name;              // "vllm"
  std::string_view summary;           // one line
  std::span<const TargetRule> rules;  // by container; the others it does not load
  // Layers that it runs as one product, q with k and v, gate with up, must have one format.
  bool fused = false;
};

std::span<const TargetProfile> all_targets();
const TargetProfile& target_or_throw(std::string_view name);  // Error(input) that lists the names

// The first container of the profile that stores `format` (null: dense) in `t`; Error(input) when none does.
Container container_for(const TargetProfile& target, const Format* format, const ModelTensor& t);

// Throws one Error(input) that lists all tensors that the target would refuse, and why.
void check_target(const TargetProfile& target, Container container, std::span<const TensorPlan> plans);

}  // namespace pith
