// Whole files at once.
#pragma once
#include <filesystem>
#include <string>

#include "core/base.h"

namespace pith {

// The bytes as they are. Error(environment) when it cannot be read, Error(input) when it is larger.
std::string read_text_file(const std::filesystem::path& path, dim max_bytes = dim(1) << 28);

}  // namespace pith
