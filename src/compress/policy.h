// Which tensor is stored in which format.
#pragma once
#include "compress/pipeline.h"
#include "model/exchange/lora.h"

namespace pith {

bool is_dense(const Format& format);  // f32, f16, bf16: one value, one number, no scales

// One row for each tensor that is written, in the model's order (bytes_after is left 0). The rules:
//   linears             the recipe's format
//   embedding and head  embed_format; by default q6_k below 6 bits of a GGUF format, the same format above;
//                       beside integer groups of Hugging Face they stay dense
//   all others          f32 in GGUF, the source's own type in a Hugging Face folder (f16 if that was quantized)
// then the overrides, then the chain of fallbacks where a row is not a whole number of blocks. A head tied to
// the embedding is not written. Throws one Error(input) that lists all tensors that cannot be stored so. What the
// adapter (or null) changes lies on its source's grid no longer.
std::vector<TensorPlan> choose_formats(const Model& model, const Recipe& recipe, Container container,
                                       const LoraAdapter* adapter = nullptr);

}  // namespace pith
