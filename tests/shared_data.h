// Where the tests' data is. Tests that need it skip visibly where it is absent:
//   PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace pith::test {

// PITH_DATA, else the folder shared/data beside the project.
inline std::filesystem::path data_folder() {
  if (const char* given = std::getenv("PITH_DATA")) return given;
  return std::filesystem::path(PITH_SOURCE_DIR).parent_path() / "shared" / "data";
}

// The real model that scripts/demo fetches, in the user's cache folder (or PITH_CACHE).
inline std::filesystem::path cache_folder() {
  if (const char* given = std::getenv("PITH_CACHE")) return given;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME")) return std::filesystem::path(xdg) / "pith";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home ? home : ".") / ".cache" / "pith";
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A fresh folder, removed at the end.
struct TempFolder {
  std::filesystem::path path;
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "pith-test-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace pith::test

#define PITH_NEED_DATA(variable, relative)                        \
  const auto variable = ::pith::test::data_folder() / (relative); \
  if (!std::filesystem::exists(variable)) GTEST_SKIP() << "no test data at " << variable
