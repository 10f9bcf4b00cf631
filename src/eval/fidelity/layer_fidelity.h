// How near the blocks of a model give what its base's give.
#pragma once
#include <span>
#include <vector>

#include "core/progress.h"
#include "model/model.h"
#include "ops/act/act_codec.h"

namespace pith {

// What follows one block on the same tokens: h of the base, h' of the model.
struct LayerFidelity {
  double error = 0;        // |h - h'|_F / |h|_F, the model's own blocks before it: what has gathered up to here
  double block_error = 0;  // the same where the base's stream goes into the model's block: what this block loses
  double cosine = 1;       // mean over tokens of the cosine between h and h'
};
double sqnr_db(double relative_error);  // -20 log10; infinite for 0

// Sequences as HiddenStream takes them. Error(input) where the models differ in number or width of blocks, or where an
// output is not finite. A model in rotated coordinates is as far from its base as the rotation turns, though it says
// the same. Keys and values are in f32; act: how the model's linear layers round their inputs, null: as it says.
std::vector<LayerFidelity> layer_fidelity(const Model& model, const Model& base,
                                          std::span<const std::vector<Token>> sequences, const ActPlan* act = nullptr,
                                          Progress& progress = no_progress());

}  // namespace pith
