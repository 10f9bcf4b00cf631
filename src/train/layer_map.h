// Which block of a teacher each block of a student is to be like.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"
#include "train/losses/hidden_rows.h"

namespace pith {

struct LayerPair {
  dim student = 0, teacher = 0;  // from 0
};

// What states go through before they are compared (state_filters.h).
enum class StateMap { none, projection, filters };
StateMap state_map_or_throw(std::string_view name);  // Error(input)

struct HiddenLoss {
  double weight = 0;  // of the mean over pairs and predicted places, beside the divergence; 0: none
  HiddenKind kind = HiddenKind::cosine;
  std::vector<LayerPair> pairs = {};
  StateMap map = StateMap::none;
  dim filter_steps = 100;  // filters: of their first stage
  double filter_rate = 1e-3;
  std::uint64_t seed = 0;  // of first values and of the first stage's order
};

// Queries, keys and values between tokens (losses/relation_rows.h).
struct RelationLoss {
  double weight = 0;  // of the mean over pairs, the three, parts and tokens; 0: none
  dim heads = 1;      // parts that each of them is cut into
  std::vector<LayerPair> pairs = {};
};

// Attention maps (losses/map_rows.h).
struct AttentionLoss {
  double weight = 0;  // of the mean over pairs, heads and tokens; 0: none
  std::vector<LayerPair> pairs = {};
};

// "last": the last like the last. "uniform": student's block i like the teacher's (i + 1) * teacher / student - 1, so
// that the last is like the last; or "3:4,11:15". Error(input) where a block is not there, or a student's is named
// twice.
std::vector<LayerPair> layer_pairs(std::string_view text, dim student_layers, dim teacher_layers);
std::string describe_hidden(const HiddenLoss& loss);  // " + 0.5 hidden cosine of 3:4,11:15"; "" without weight
std::string describe_relations(const RelationLoss& loss);
std::string describe_attention(const AttentionLoss& loss);

}  // namespace pith
