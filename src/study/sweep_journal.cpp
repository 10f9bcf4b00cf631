#include "study/sweep_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/files.h"
#include "io/json.h"

namespace pith {

namespace {

using nlohmann::ordered_json;

std::string line_of(const SweepEntry& entry) {
  ordered_json line = {{"key", entry.key}, {"point", entry.name}};
  if (entry.record)
    line["record"] = ordered_json::parse(report::to_json(*entry.record));
  else
    line["error"] = entry.error;
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

SweepEntry entry_of(std::string_view line, const std::string& where) {
  const nlohmann::json json = parse_json(line, where);
  try {
    SweepEntry entry{.key = json.at("key").get<std::string>(),
                     .name = json.at("point").get<std::string>(),
                     .record = {},
                     .error = {}};
    if (json.contains("record"))
      entry.record = report::record_of_json(json["record"].dump(), where);
    else
      entry.error = json.at("error").get<std::string>();
    return entry;
  } catch (const nlohmann::json::exception& e) {
    throw Error(Blame::input, where, fmt::format("expected an entry of a sweep's journal, got: {}", e.what()),
                "remove the line, and its point is measured again");
  }
}

}  // namespace

SweepJournal::SweepJournal(const std::filesystem::path& folder, bool for_adding) : path_(folder / "journal.jsonl") {
  if (for_adding) {
    std::filesystem::create_directories(folder);
    hold();
  }
  read();
}

void SweepJournal::hold() {
  file_ = Descriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file_) throw environment_error(path_.string(), "expected a file to write to: {}", std::strerror(errno));
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(Blame::environment, path_.string(), "expected to be alone, another sweep is at work here",
                "wait for it, or choose another --out");
}

void SweepJournal::read() {
  std::error_code fault;
  if (!std::filesystem::exists(path_, fault) || std::filesystem::file_size(path_) == 0) return;
  const std::string text = read_text_file(path_, dim(1) << 32);
  std::size_t begin = 0;
  for (dim number = 1;; ++number) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    SweepEntry entry =
        entry_of(std::string_view(text).substr(begin, end - begin), fmt::format("{}, line {}", path_.string(), number));
    const std::string key = entry.key;
    entries_.insert_or_assign(key, std::move(entry));
    begin = end + 1;
  }
  if (begin < text.size() && file_ && ftruncate(file_.get(), off_t(begin)) != 0)
    throw environment_error(path_.string(), "expected to drop a torn last line: {}", std::strerror(errno));
}

const SweepEntry* SweepJournal::find(const std::string& key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() ? nullptr : &at->second;
}

void SweepJournal::add(SweepEntry entry) {
  PITH_CHECK(bool(file_));
  const std::string line = line_of(entry);
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = write(file_.get(), line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw environment_error(path_.string(), "expected to append a line: {}", std::strerror(errno));
    done += std::size_t(n);
  }
  if (fsync(file_.get()) != 0)
    throw environment_error(path_.string(), "expected to keep a line: {}", std::strerror(errno));
  const std::string key = entry.key;
  entries_.insert_or_assign(key, std::move(entry));
}

}  // namespace pith
