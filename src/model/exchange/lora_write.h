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
};

struct AdapterFile {
  std::string name;  // empty: the target itself, a GGUF
  std::string bytes;
};

// W += B A: a GGUF adapter where the base is a GGUF, else the files of a PEFT folder; factors in float16. All parts
// have one rank in a PEFT folder. Error(input) when there is none.
std::vector<AdapterFile> adapter_files(const Model& base, const std::vector<AdapterPart>& parts);

}  // namespace pith
