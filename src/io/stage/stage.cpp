#include "io/stage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>

#include "core/error.h"
#include "io/descriptor.h"
#include "io/printable.h"
#include "io/stage/journal.h"

namespace pith {

namespace fs = std::filesystem;

namespace {

constexpr const char* kJournalName = ".pith-journal";
constexpr dim kBegunBytes = dim(1) << 18;  // smaller writes are left to the system's own time

struct StagedFile {
  fs::path path;
  Descriptor file;
  dim size_bytes = -1;  // -1: a text file, of any size
  std::atomic<bool> dirty = true;
};

// Of the thing itself, not of what a link points to; 0 when there is none.
std::uint64_t inode_of(const fs::path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 ? std::uint64_t(status.st_ino) : 0;
}

void sync_folder(const fs::path& folder) {
  const Descriptor file(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file) throw environment_error(folder.string(), "opening the folder failed: {}", std::strerror(errno));
  sync_or_throw(file.get(), folder.string());
}

void make_folders(const fs::path& folder) {
  std::error_code fault;
  fs::create_directories(folder, fault);
  if (fault) throw environment_error(folder.string(), "making the folder failed: {}", fault.message());
}

void remove_tree(const fs::path& path) {
  std::error_code fault;
  fs::remove_all(path, fault);
  if (fault) throw environment_error(path.string(), "removing it failed: {}", fault.message());
}

fs::path without_slash(fs::path path) {
  std::error_code fault;
  path = fs::absolute(path, fault).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  if (name.empty() || name == "." || name == ".." || name == kJournalName)
    throw input_error("output", "expected the name of a file or folder to write, got {}", printable(path.string()));
  return path;
}

// Refuses to replace what does not look like an earlier output: another kind of thing, or a folder with folders in
// it (a home or project folder given by mistake).
void check_target(const fs::path& target, bool is_folder, bool overwrite) {
  std::error_code fault;
  const fs::file_status status = fs::symlink_status(target, fault);
  if (!fs::exists(status)) return;
  if (!overwrite)
    throw Error(Blame::input, target.string(), "expected a name that is free, it exists already",
                "choose another name, or allow overwriting");
  if (is_folder ? !fs::is_directory(status) : !fs::is_regular_file(status) && !fs::is_symlink(status))
    throw input_error(target.string(), "expected a {} to overwrite, got something else", is_folder ? "folder" : "file");
  if (!is_folder) return;
  for (fs::directory_iterator at(target, fault), end; !fault && at != end; at.increment(fault))
    if (fs::is_directory(at->symlink_status(fault)))
      throw Error(Blame::input, target.string(),
                  "expected a flat folder of model files to overwrite, got folders in it",
                  "choose another name, or remove it first");
}

}  // namespace

struct Stage::Impl {
  fs::path target;
  bool is_folder = false;
  Options options;
  fs::path partial;  // the hidden folder
  fs::path staged;   // partial / NAME: what will get the final name
  std::optional<StageJournal> journal;
  std::map<std::string, StagedFile, std::less<>> files;
  std::mutex record_lock;
  bool committed = false;

  fs::path folder() const { return is_folder ? staged : partial; }
  void open_stage(const std::string& fingerprint);
  bool can_go_on(const std::string& fingerprint) const;
  void start_afresh(const std::string& fingerprint);
  void check_name(const std::string& name) const;
  StagedFile& open_file(const std::string& name, const fs::path& path, int flags);
  void reserve(StagedFile& f, dim size_bytes) const;
  void add_sized(const std::string& name, const fs::path& path, dim size_bytes);
  void sync_dirty();
  void rename_into_place();
};

void Stage::Impl::open_stage(const std::string& fingerprint) {
  make_folders(partial);
  journal.emplace(partial / kJournalName);
  if (options.resume) journal->load();
  if (!can_go_on(fingerprint)) start_afresh(fingerprint);
}

bool Stage::Impl::can_go_on(const std::string& fingerprint) const {
  if (!options.resume || journal->fingerprint().empty()) return false;
  // A commit that got as far as the rename: what lies in the stage now, if anything, is the old target.
  if (journal->commit_inode() != 0 && journal->commit_inode() != inode_of(staged)) return false;
  if (journal->fingerprint() != fingerprint)
    throw Error(Blame::input, target.string(), "expected to resume the same work, the earlier run had other settings",
                "give the settings of the earlier run, or start without resuming");
  return true;
}

void Stage::Impl::start_afresh(const std::string& fingerprint) {
  journal->clear();  // first, so that it never speaks of what is gone
  std::error_code fault;
  for (fs::directory_iterator at(partial, fault), end; !fault && at != end; at.increment(fault))
    if (at->path().filename() != kJournalName) remove_tree(at->path());
  if (fault) throw environment_error(partial.string(), "listing the folder failed: {}", fault.message());
  if (is_folder) make_folders(staged);
  sync_folder(partial);
  journal->start(fingerprint);
}

void Stage::Impl::check_name(const std::string& name) const {
  if (!is_folder && name != target.filename().string())
    throw InternalError("a stage of one file holds the file of that name only");
  if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string_view("/\0", 2)) != name.npos)
    throw input_error(target.string(), "expected a plain file name, got {}", printable(name));
}

StagedFile& Stage::Impl::open_file(const std::string& name, const fs::path& path, int flags) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0666));
  if (!file) throw environment_error(path.string(), "creating the file failed: {}", std::strerror(errno));
  StagedFile& staged_file = files[name];
  staged_file.path = path;
  staged_file.file = std::move(file);
  staged_file.dirty = true;
  return staged_file;
}

void Stage::Impl::reserve(StagedFile& f, dim size_bytes) const {
  const std::string where = f.path.string();
  const auto refuse = [&](const std::string& why) {
    return Error(Blame::environment, where, fmt::format("expected room for {} bytes: {}", size_bytes, why),
                 "free some space, or write elsewhere");
  };
  const dim free_bytes = Stage::free_bytes(target);
  if (size_bytes > free_bytes) throw refuse(fmt::format("only {} bytes are free", free_bytes));
  if (size_bytes == 0) return;
  int fault = 0;
  do {
    fault = posix_fallocate(f.file.get(), 0, size_bytes);
  } while (fault == EINTR);
  if (fault == 0) return;
  if (ftruncate(f.file.get(), 0) != 0) throw refuse(std::strerror(errno));
  throw refuse(std::strerror(fault));
}

void Stage::Impl::sync_dirty() {
  for (auto& [name, f] : files)
    if (f.dirty.exchange(false)) sync_or_throw(f.file.get(), f.path.string());
}

Stage::Stage(fs::path target, Kind kind, std::string fingerprint, Options options) : impl_(std::make_unique<Impl>()) {
  PITH_CHECK(!fingerprint.empty());
  impl_->target = without_slash(std::move(target));
  impl_->is_folder = kind == Kind::folder;
  impl_->options = options;
  const std::string name = impl_->target.filename().string();
  impl_->partial = impl_->target.parent_path() / ("." + name + ".pith-partial");
  impl_->staged = impl_->partial / name;
  check_target(impl_->target, impl_->is_folder, options.overwrite);
  impl_->open_stage(fingerprint);
}

Stage::Stage(Stage&&) noexcept = default;
Stage::~Stage() = default;

const fs::path& Stage::folder() const { return impl_->is_folder ? impl_->staged : impl_->partial; }

void Stage::add_file(const std::string& name, dim size_bytes) {
  impl_->check_name(name);
  impl_->add_sized(name, folder() / name, size_bytes);
}

void Stage::add_scratch(const std::string& name, dim size_bytes) {
  PITH_CHECK(name != impl_->target.filename().string() && name.find('/') == name.npos);
  impl_->add_sized(name, impl_->partial / name, size_bytes);
}

void Stage::Impl::add_sized(const std::string& name, const fs::path& path, dim size_bytes) {
  PITH_CHECK(size_bytes >= 0 && !committed);
  const auto known = journal->files().find(name);
  if (known == journal->files().end()) {
    StagedFile& f = open_file(name, path, O_TRUNC);
    f.size_bytes = size_bytes;
    reserve(f, size_bytes);
    sync_or_throw(f.file.get(), path.string());
    sync_folder(path.parent_path());
    journal->add_file(name, size_bytes);
    return;
  }
  if (known->second != size_bytes)
    throw input_error(path.string(), "expected {} bytes, the earlier run planned {}", size_bytes, known->second);
  StagedFile& f = open_file(name, path, 0);
  f.size_bytes = size_bytes;
  struct stat status {};
  if (fstat(f.file.get(), &status) != 0 || status.st_size != size_bytes)
    throw Error(Blame::environment, path.string(),
                fmt::format("expected {} bytes from the earlier run, got {}", size_bytes, status.st_size),
                "start without resuming");
}

void Stage::write(const std::string& file, dim offset_bytes, std::span<const std::byte> bytes) {
  const auto at = impl_->files.find(file);
  PITH_CHECK(at != impl_->files.end());
  StagedFile& f = at->second;
  PITH_CHECK(offset_bytes >= 0 && dim(bytes.size()) <= f.size_bytes - offset_bytes);
  write_all(f.file.get(), offset_bytes, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, f.path.string());
  f.dirty = true;
  // The disk begins now, so that `sync` has less to wait for; a hint, whose failure changes nothing.
  if (dim(bytes.size()) >= kBegunBytes)
    sync_file_range(f.file.get(), offset_bytes, off_t(bytes.size()), SYNC_FILE_RANGE_WRITE);
}

void Stage::read(const std::string& file, dim offset_bytes, std::span<std::byte> bytes) const {
  const auto at = impl_->files.find(file);
  PITH_CHECK(at != impl_->files.end());
  const StagedFile& f = at->second;
  PITH_CHECK(offset_bytes >= 0 && dim(bytes.size()) <= f.size_bytes - offset_bytes);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = pread(f.file.get(), bytes.data() + done, bytes.size() - done, offset_bytes + dim(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw environment_error(f.path.string(), "reading back failed: {}", n ? std::strerror(errno) : "short");
    done += std::size_t(n);
  }
}

void Stage::write_text(const std::string& file, std::string_view text) {
  PITH_CHECK(!impl_->committed);
  impl_->check_name(file);
  StagedFile& f = impl_->open_file(file, folder() / file, O_TRUNC);
  write_all(f.file.get(), 0, text, (folder() / file).string());
}

void Stage::record(std::span<const Piece> pieces) {
  const std::scoped_lock lock(impl_->record_lock);
  impl_->sync_dirty();
  for (const Piece& piece : pieces) impl_->journal->add_piece(piece.name, piece.note);
  impl_->journal->sync();
}

void Stage::record(std::string_view piece, std::string_view note) {
  const Piece one{std::string(piece), std::string(note)};
  record({&one, 1});
}

void Stage::sync() { impl_->sync_dirty(); }

const std::string* Stage::recorded(std::string_view piece) const {
  const auto at = impl_->journal->pieces().find(piece);
  return at == impl_->journal->pieces().end() ? nullptr : &at->second;
}

void Stage::Impl::rename_into_place() {
  const auto refuse = [&](int fault) {
    if (fault == EEXIST)
      return Error(Blame::input, target.string(), "expected a name that is free, it exists already",
                   "choose another name, or allow overwriting");
    if (fault == EINVAL && is_folder)
      return Error(Blame::environment, target.string(), "this file system cannot swap two folders in one step",
                   "remove the old folder first");
    return environment_error(target.string(), "giving the output its name failed: {}", std::strerror(fault));
  };
  const auto rename_with = [&](unsigned flags) {
    return renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, target.c_str(), flags) == 0 ? 0 : errno;
  };
  const bool there = inode_of(target) != 0;
  int fault = 0;
  if (there && options.overwrite)
    fault = is_folder ? rename_with(RENAME_EXCHANGE) : rename_with(0);
  else
    fault = rename_with(RENAME_NOREPLACE);
  // Some file systems know no flags; without an exchange only a free name can be taken in one step.
  if (fault == EINVAL && !there) fault = rename_with(0);
  if (fault != 0) throw refuse(fault);
}

void Stage::commit() {
  Impl& s = *impl_;
  PITH_CHECK(!s.committed);
  if (inode_of(s.staged) == 0) throw InternalError("a commit of nothing");
  s.sync_dirty();
  sync_folder(folder());
  check_target(s.target, s.is_folder, s.options.overwrite);
  s.journal->add_commit(inode_of(s.staged));
  sync_folder(s.partial);
  s.rename_into_place();
  s.committed = true;
  s.files.clear();
  sync_folder(s.target.parent_path());
  remove_tree(s.partial);  // the journal, and the old target where there was one
}

dim Stage::free_bytes(const fs::path& target) {
  std::error_code fault;
  fs::path at = fs::absolute(target, fault);
  while (!fs::exists(at, fault) && at != at.root_path()) at = at.parent_path();
  struct statvfs status {};
  if (statvfs(at.c_str(), &status) != 0)
    throw environment_error(at.string(), "asking for the free space failed: {}", std::strerror(errno));
  return dim(status.f_bavail) * dim(status.f_frsize);
}

}  // namespace pith
