#include "study/fit_journal.h"

#include "io/files.h"
#include "io/sha256.h"

namespace pith {

namespace {

std::optional<std::string> text_if_there(const std::filesystem::path& path) {
  std::error_code fault;
  if (!std::filesystem::exists(path, fault)) return std::nullopt;
  return read_text_file(path);
}

}  // namespace

std::filesystem::path fit_folder(std::filesystem::path target) {
  target = target.lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "folder/"
  return target.parent_path() / ("." + target.filename().string() + ".pith-fit");
}

FitJournal::FitJournal(const std::filesystem::path& target, std::string stamp, bool keep)
    : folder_(fit_folder(target)), stamp_(std::move(stamp)) {
  if (!keep) std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

std::filesystem::path FitJournal::at(const std::string& key, const char* ending) const {
  return folder_ / (sha256_hex(stamp_ + "\n" + key).substr(0, 24) + ending);
}

std::optional<report::ModelRecord> FitJournal::record(const std::string& recipe) const {
  const auto path = at(recipe, ".json");
  const auto text = text_if_there(path);
  if (!text) return std::nullopt;
  return report::record_of_json(*text, path.string());
}

void FitJournal::keep(const std::string& recipe, const report::ModelRecord& record) const {
  write_whole(at(recipe, ".json"), report::to_json(record));
}

std::optional<std::vector<Override>> FitJournal::formats(const std::string& key) const {
  const auto text = text_if_there(at(key, ".formats"));
  if (!text) return std::nullopt;
  std::vector<Override> out;
  for (std::size_t begin = 0; begin < text->size();) {
    const std::size_t end = std::min(text->find('\n', begin), text->size());
    out.push_back(parse_override(std::string_view(*text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

void FitJournal::keep_formats(const std::string& key, const std::vector<Override>& formats) const {
  std::string text;
  for (const Override& o : formats) text += override_text(o) + "\n";
  write_whole(at(key, ".formats"), text);
}

std::filesystem::path FitJournal::model_path(const std::string& recipe, bool folder) const {
  return at(recipe, folder ? "" : ".gguf");
}

void FitJournal::remove_all() const {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace pith
