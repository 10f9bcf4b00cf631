// SHA-256, and the hash over all that decides a run's bytes.
#pragma once
#include <filesystem>
#include <span>
#include <string>

#include "compress/prepare.h"

namespace pith {

// Hex, of files one after another (as `cat FILES | sha256sum` prints it). Error(environment) when one cannot be read.
std::string sha256_of_files(std::span<const std::filesystem::path> files);

// The source as Model::source_stamp tells it, recipe, where every tensor goes and as what, the files' other bytes, the
// program's version.
std::string fingerprint(const std::string& source_stamp, const Recipe& recipe, const Prepared& prepared);

}  // namespace pith
