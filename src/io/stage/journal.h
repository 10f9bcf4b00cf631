// The journal of a stage: lines of text, each with a checksum, each durable before the next step is taken.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/base.h"
#include "io/descriptor.h"

namespace pith {

class StageJournal {
 public:
  // Opens or creates the file and locks it against other processes: Error(environment) when another has it.
  explicit StageJournal(const std::filesystem::path& path);

  // Reads what an earlier run left, up to the first torn or damaged line; what follows is cut off.
  void load();
  void clear();
  void start(std::string_view fingerprint);  // the first line of an empty journal

  void add_piece(std::string_view piece, std::string_view note);  // durable after `sync`; the others are at once
  void sync();
  void add_file(std::string_view name, dim size_bytes);
  // The last word before the rename. inode: of what is about to get the final name.
  void add_commit(std::uint64_t inode);

  const std::string& fingerprint() const { return fingerprint_; }  // empty: nothing was started
  const std::map<std::string, std::string, std::less<>>& pieces() const { return pieces_; }
  const std::map<std::string, dim, std::less<>>& files() const { return files_; }
  std::uint64_t commit_inode() const { return commit_inode_; }  // 0: no commit was begun

 private:
  void append(char kind, std::string_view a, std::string_view b);
  bool take_line(std::string_view line);

  std::string where_;
  Descriptor file_;
  std::string fingerprint_;
  std::map<std::string, std::string, std::less<>> pieces_;
  std::map<std::string, dim, std::less<>> files_;
  std::uint64_t commit_inode_ = 0;
};

// Writes all bytes at the offset (or at the end, offset < 0). Error(environment).
void write_all(int fd, dim offset_bytes, std::string_view bytes, const std::string& where);
void sync_or_throw(int fd, const std::string& where);

}  // namespace pith
