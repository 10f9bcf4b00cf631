// Atomic, resumable output. Everything is written into a hidden folder beside the target,
// `.NAME.pith-partial/`, with a journal of finished pieces; `commit` makes it durable and renames it into
// place in one step. A killed run leaves nothing under the final name, and `resume` goes on from the journal.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

class Stage {
 public:
  enum class Kind { file, folder };  // the target is one file (the stage holds one of that name), or a folder
  struct Options {
    bool resume = false;     // go on with an earlier stage of the same fingerprint; Error(input) if it differs
    bool overwrite = false;  // an existing target is replaced at commit; without it, Error(input) now
  };
  // fingerprint: a hash over all that decides the bytes (source, plan, options, seed, program version).
  Stage(std::filesystem::path target, Kind kind, std::string fingerprint, Options options);
  Stage(Stage&&) noexcept;
  ~Stage();  // without commit: the files stay for a later resume

  // Creates (or on resume: reopens and checks the size of) a file of exactly this size, with its blocks
  // reserved on disk. Error(environment) when there is no room.
  void add_file(const std::string& name, dim size_bytes);
  void write(const std::string& file, dim offset_bytes, std::span<const std::byte> bytes);
  void write_text(const std::string& file, std::string_view text);  // whole small file
  // The same for what only a resumed run will read: a file beside the target's, gone at commit.
  void add_scratch(const std::string& name, dim size_bytes);
  void read(const std::string& file, dim offset_bytes, std::span<std::byte> bytes) const;

  // Journal: `record` is durable after the bytes it speaks of, all written so far; on resume `recorded` tells what an
  // earlier run finished, with the note it left. A torn last line is ignored.
  struct Piece {
    std::string name, note;
  };
  void record(std::span<const Piece> pieces);
  void record(std::string_view piece, std::string_view note = {});
  const std::string* recorded(std::string_view piece) const;

  const std::filesystem::path& folder() const;  // where the staged files are, e.g. to verify by reopening
  void sync();                                  // makes all written so far durable, ahead of `commit`
  void commit();                                // fsync files and folder, remove the journal, rename

  // Free bytes on the file system that would hold `target` (its nearest existing parent).
  static dim free_bytes(const std::filesystem::path& target);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
