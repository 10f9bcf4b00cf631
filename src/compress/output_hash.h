// SHA-256 of files while they are written: follows at a distance, so that little is left to read at the end.
#pragma once
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "io/sha256.h"

namespace pith {

class OutputHash {
 public:
  // Of the files one after another, as `cat FILES | sha256sum` prints it.
  explicit OutputHash(std::vector<std::filesystem::path> files);
  ~OutputHash();  // without `get`: gives up
  // The bytes of files before `file` and the first size_bytes of `file` will not change any more.
  void settle(std::size_t file, dim size_bytes);
  // Once all is written. Hex. Error(environment) when a file cannot be read.
  std::string get();

 private:
  struct State;
  static void add_file(Sha256& sha, State& state, std::size_t file);
  std::unique_ptr<State> state_;
  std::future<std::string> hash_;
};

}  // namespace pith
