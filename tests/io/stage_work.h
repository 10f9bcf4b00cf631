// Work that the tests of the stage do: the same folder or file every time, in pieces.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/rng.h"
#include "io/files.h"
#include "io/stage.h"

namespace pith::test {

namespace fs = std::filesystem;

inline constexpr Stage::Options kFresh{};
inline constexpr Stage::Options kResume{true, false};
inline constexpr Stage::Options kOverwrite{false, true};

inline std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }

// All files below a folder and their bytes.
inline std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& e : fs::recursive_directory_iterator(folder))
    if (e.is_regular_file()) out[fs::relative(e.path(), folder).string()] = read_text_file(e.path());
  return out;
}

// What the tests stage: 8 pieces of 1000 bytes in two files, and a text.
inline constexpr int kPieces = 8;
inline std::string piece_bytes(int i) {
  std::string s;
  for (int j = 0; j < 1000; ++j) s += char(mix64(std::uint64_t(i), std::uint64_t(j)));
  return s;
}
// Returns how many pieces an earlier run had finished.
inline int stage_folder(const fs::path& target, Stage::Options options, int pause_us = 0) {
  Stage stage(target, Stage::Kind::folder, "fingerprint", options);
  stage.add_file("one.bin", 4000);
  stage.add_file("two.bin", 4000);
  int found = 0;
  for (int i = 0; i < kPieces; ++i) {
    const std::string name = "piece " + std::to_string(i);
    if (stage.recorded(name)) {
      ++found;
      continue;
    }
    const std::string bytes = piece_bytes(i);
    for (dim at = 0; at < 1000; at += 250) {  // in steps, so that a kill can fall between
      stage.write(i < 4 ? "one.bin" : "two.bin", i % 4 * 1000 + at, bytes_of(bytes).subspan(std::size_t(at), 250));
      if (pause_us) usleep(useconds_t(pause_us));
    }
    stage.record(name, "note");
  }
  stage.write_text("config.json", "{}\n");
  stage.commit();
  return found;
}
inline std::map<std::string, std::string> expected_folder() {
  std::string one, two;
  for (int i = 0; i < 4; ++i) {
    one += piece_bytes(i);
    two += piece_bytes(i + 4);
  }
  return {{"one.bin", one}, {"two.bin", two}, {"config.json", "{}\n"}};
}

}  // namespace pith::test
