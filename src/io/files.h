// Whole files at once.
#pragma once
#include <filesystem>
#include <string>

#include "core/base.h"

namespace pith {

// The bytes as they are. Error(environment) when it cannot be read, Error(input) when it is larger.
std::string read_text_file(const std::filesystem::path& path, dim max_bytes = dim(1) << 28);

// Written beside and renamed, so that the file is whole or absent. Error(environment) when the disk does not take it.
void write_whole(const std::filesystem::path& path, const std::string& text);

// What belongs to a model's file or folder: OUT.report.md for OUT, OUT/ or OUT.gguf.
std::filesystem::path beside(std::filesystem::path model, const char* ending);

// The last part of a path: of "models/folder/" it is "folder". And without ".gguf" where it ends so.
std::string last_name(const std::filesystem::path& path);
std::string model_stem(const std::filesystem::path& path);

}  // namespace pith
