#include "io/stage/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "io/files.h"

namespace pith {

namespace {

// A line is: kind TAB a TAB b TAB checksum NEWLINE, with these kinds.
constexpr char kStart = 's';
constexpr char kPiece = 'p';
constexpr char kFile = 'f';
constexpr char kCommit = 'c';

std::string checksum(std::string_view text) {  // FNV-1a, against torn lines, not against forgers
  std::uint64_t h = 0xcbf29ce484222325ull;
  for (const char c : text) h = (h ^ std::uint8_t(c)) * 0x100000001b3ull;
  return fmt::format("{:016x}", h);
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else
      out += c;
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
  }
  return out;
}

std::vector<std::string_view> split_tabs(std::string_view line) {
  std::vector<std::string_view> parts;
  for (std::size_t at = line.find('\t'); at != line.npos; at = line.find('\t')) {
    parts.push_back(line.substr(0, at));
    line.remove_prefix(at + 1);
  }
  parts.push_back(line);
  return parts;
}

template <class T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return fault == std::errc() && end == text.data() + text.size();
}

}  // namespace

void write_all(int fd, dim offset_bytes, std::string_view bytes, const std::string& where) {
  while (!bytes.empty()) {
    const ssize_t n =
        offset_bytes < 0 ? write(fd, bytes.data(), bytes.size()) : pwrite(fd, bytes.data(), bytes.size(), offset_bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw environment_error(where, "writing {} bytes failed: {}", bytes.size(), std::strerror(errno));
    bytes.remove_prefix(std::size_t(n));
    if (offset_bytes >= 0) offset_bytes += n;
  }
}

void sync_or_throw(int fd, const std::string& where) {
  if (fsync(fd) != 0) throw environment_error(where, "making the bytes durable failed: {}", std::strerror(errno));
}

StageJournal::StageJournal(const std::filesystem::path& path)
    : where_(path.string()), file_(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666)) {
  if (!file_) throw environment_error(where_, "creating the journal failed: {}", std::strerror(errno));
  struct stat status {};
  // No links: the run that had the lock has just finished and removed the file.
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0 || fstat(file_.get(), &status) != 0 || status.st_nlink == 0)
    throw Error(Blame::environment, where_, "expected to be alone, another run is writing this output",
                "wait for it, or choose another name");
}

void StageJournal::load() {
  const std::string text = read_text_file(where_);
  std::size_t good = 0;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', good)) {
    if (!take_line(std::string_view(text).substr(good, end - good))) break;
    good = end + 1;
  }
  if (good < text.size() && ftruncate(file_.get(), off_t(good)) != 0)
    throw environment_error(where_, "cutting off a torn line failed: {}", std::strerror(errno));
}

bool StageJournal::take_line(std::string_view line) {
  const auto parts = split_tabs(line);
  if (parts.size() != 4 || parts[0].size() != 1) return false;
  if (checksum(line.substr(0, line.rfind('\t'))) != parts[3]) return false;
  const char kind = parts[0][0];
  if ((kind == kStart) != fingerprint_.empty()) return false;
  if (kind == kStart) {
    fingerprint_ = unescape(parts[1]);
    return !fingerprint_.empty();
  }
  if (kind == kPiece) {
    pieces_.insert_or_assign(unescape(parts[1]), unescape(parts[2]));
    return true;
  }
  if (kind == kCommit) return parse_number(parts[1], commit_inode_);
  dim size = 0;
  if (kind != kFile || !parse_number(parts[2], size)) return false;
  files_.insert_or_assign(unescape(parts[1]), size);
  return true;
}

void StageJournal::append(char kind, std::string_view a, std::string_view b) {
  std::string line = fmt::format("{}\t{}\t{}", kind, escape(a), escape(b));
  line += "\t" + checksum(line) + "\n";
  write_all(file_.get(), -1, line, where_);
}

void StageJournal::sync() { sync_or_throw(file_.get(), where_); }

void StageJournal::clear() {
  if (ftruncate(file_.get(), 0) != 0)
    throw environment_error(where_, "emptying the journal failed: {}", std::strerror(errno));
  sync_or_throw(file_.get(), where_);
  fingerprint_.clear();
  pieces_.clear();
  files_.clear();
  commit_inode_ = 0;
}

void StageJournal::start(std::string_view fingerprint) {
  fingerprint_ = fingerprint;
  append(kStart, fingerprint, "1");
  sync();
}

void StageJournal::add_piece(std::string_view piece, std::string_view note) {
  append(kPiece, piece, note);
  pieces_.insert_or_assign(std::string(piece), std::string(note));
}

void StageJournal::add_file(std::string_view name, dim size_bytes) {
  append(kFile, name, std::to_string(size_bytes));
  sync();
  files_.insert_or_assign(std::string(name), size_bytes);
}

void StageJournal::add_commit(std::uint64_t inode) {
  append(kCommit, std::to_string(inode), {});
  sync();
  commit_inode_ = inode;
}

}  // namespace pith
