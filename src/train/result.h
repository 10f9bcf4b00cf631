// What training leaves: a model with the learned values, or an adapter.
#pragma once
#include <vector>

#include "model/exchange/lora_write.h"
#include "train/trainable.h"

namespace pith {

// The base opened again, its tensors views of the learned values, in f32, or with the learned scales, in their format;
// not to be used after `trainable` is gone. For all but TrainWhat::lora.
Model learned_model(const Model& base, const Trainable& trainable);
// The same with the values, which the model keeps.
Model learned_model(const Model& base, std::vector<Parameter> values);

// For TrainWhat::lora, the scale in the second factor.
std::vector<AdapterPart> learned_adapter(const Trainable& trainable);

}  // namespace pith
