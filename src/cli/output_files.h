// What verbs write beside their models.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "io/files.h"
#include "model/exchange/lora_write.h"

namespace pith::cli {

// Returns the bytes. Error(input) where the target stands already, unless it is to be replaced.
dim write_adapter(const std::filesystem::path& target, const std::vector<AdapterFile>& files, bool overwrite);
// Where it goes by default: beside the model, a .gguf for a GGUF.
std::string adapter_target(const Model& model);

}  // namespace pith::cli
