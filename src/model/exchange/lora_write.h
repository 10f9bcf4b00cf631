// Low-rank adapters as llama.cpp (GGUF, --lora) and peft (a folder) load them.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "model/model.h"

namespace pith {

// For one matrix of the model that the adapter is for; its rows in that model's order.
struct AdapterPart {
  std::size_t tensor = 0;  // into Model::tensors()
  dim rank = 0;
  std::vector<float> a;  // (rank, cols)
  std::vector<float> b;  // (rows, rank)
  // (rows): what the sum's rows are made as long as (DoRA); empty: they stay as they are.
  std::vector<float> magnitudes = {};
};

struct AdapterFile {
  std::string name;  // empty: the target itself, a GGUF
  std::string bytes;
};

// W += B A: a GGUF adapter where the base is a GGUF, else the files of a PEFT folder; factors in float16, magnitudes in
// float32. Error(input) when there is none, or for magnitudes in a GGUF.
std::vector<AdapterFile> adapter_files(const Model& base, const std::vector<AdapterPart>& parts);

}  // namespace pith
