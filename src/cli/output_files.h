// What verbs write beside their models.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "model/exchange/lora_write.h"

namespace pith::cli {

// OUT.report.md for a target OUT, OUT/ or OUT.gguf.
std::filesystem::path beside(std::filesystem::path target, const char* ending);
// Written beside and renamed, so that a report is whole or absent.
void write_whole(const std::filesystem::path& path, const std::string& text);
// Returns the bytes. Error(input) where the target stands already, unless it is to be replaced.
dim write_adapter(const std::filesystem::path& target, const std::vector<AdapterFile>& files, bool overwrite);
// Where it goes by default: beside the model, a .gguf for a GGUF.
std::string adapter_target(const Model& model);

}  // namespace pith::cli
