#include "eval/tasks/task_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "io/files.h"
#include "io/json.h"

namespace pith {

namespace fs = std::filesystem;

TaskFiles::TaskFiles(const fs::path& folder) : folder_(folder) {
  if (!folder_.empty()) return;
  const char* data = std::getenv("PITH_DATA");
  folder_ = data && *data ? fs::path(data) / "tasks" : fs::path("../shared/data/tasks");
}

std::string TaskFiles::read(std::initializer_list<std::string_view> candidates) {
  for (const std::string_view name : candidates)
    if (fs::exists(folder_ / name)) return read_path(folder_ / name);
  throw Error(Blame::input, "tasks",
              fmt::format("expected {} in {}, which is not there", fmt::join(candidates, " or "), folder_.string()),
              "--task-data says where the files of tasks are");
}

std::string TaskFiles::read_path(const fs::path& path) {
  last_ = path.string();
  std::string text = read_text_file(path);
  hash_.update(text);
  return text;
}

std::vector<std::string> TaskFiles::list(std::string_view folder, std::string_view ending) const {
  std::vector<std::string> names;
  std::error_code fault;
  for (const auto& entry : fs::directory_iterator(folder_ / folder, fault))
    if (entry.path().filename().string().ends_with(ending)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

const nlohmann::json& Record::at(const char* key) const {
  if (!has(key)) throw input_error(where_, "expected a value '{}', it is not there", key);
  return value_[key];
}

std::string Record::text(const char* key) const {
  const auto& v = at(key);
  if (!v.is_string()) throw input_error(where_, "expected text as '{}', got {}", key, v.type_name());
  return v.get<std::string>();
}

std::string Record::text_or(const char* key, std::string_view otherwise) const {
  return has(key) ? text(key) : std::string(otherwise);
}

std::vector<std::string> Record::texts(const char* key) const {
  const auto& v = at(key);
  if (v.is_string()) return {v.get<std::string>()};
  if (!v.is_array() || v.empty()) throw input_error(where_, "expected a list of texts as '{}'", key);
  std::vector<std::string> all;
  for (const auto& item : v) {
    if (!item.is_string()) throw input_error(where_, "expected texts in '{}', got {}", key, item.type_name());
    all.push_back(item.get<std::string>());
  }
  return all;
}

int Record::index(const char* key, std::size_t count) const {
  const auto& v = at(key);
  if (!v.is_number_integer() || v.get<double>() < 0 || v.get<double>() >= double(count))
    throw input_error(where_, "expected '{}' in 0 ... {}, got {}", key, dim(count) - 1, v.dump());
  return v.get<int>();
}

std::vector<Record> read_jsonl(std::string_view text, std::string_view name) {
  std::vector<Record> records;
  dim number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    std::string where = fmt::format("{}:{}", name, number);
    auto value = parse_json(line, where);
    if (!value.is_object()) throw input_error(where, "expected an object a line, got {}", value.type_name());
    records.emplace_back(std::move(value), std::move(where));
  }
  if (records.empty()) throw input_error(name, "expected an object a line, got no line");
  return records;
}

std::vector<Record> read_json_list(std::string_view text, std::string_view name) {
  JsonLimits limits;
  limits.unique_keys = false;  // answers that a question lists twice
  auto list = parse_json(text, name, limits);
  if (!list.is_array() || list.empty()) throw input_error(name, "expected a list of objects, got {}", list.type_name());
  std::vector<Record> records;
  for (auto& value : list) {
    std::string where = fmt::format("{}, item {}", name, records.size() + 1);
    if (!value.is_object()) throw input_error(where, "expected an object, got {}", value.type_name());
    records.emplace_back(std::move(value), std::move(where));
  }
  return records;
}

namespace {

// Reads one cell from `at` on; `at` is then at what ended it: a comma, a newline or the end.
std::string read_cell(std::string_view text, std::size_t& at, std::string_view name, dim row) {
  std::string cell;
  if (at >= text.size() || text[at] != '"') {
    while (at < text.size() && text[at] != ',' && text[at] != '\n') cell += text[at++];
    if (cell.ends_with('\r')) cell.pop_back();
    return cell;
  }
  for (++at; at < text.size(); ++at) {
    if (text[at] != '"') {
      cell += text[at];
    } else if (at + 1 < text.size() && text[at + 1] == '"') {
      cell += text[at++];
    } else {
      ++at;
      if (at < text.size() && text[at] == '\r') ++at;
      if (at < text.size() && text[at] != ',' && text[at] != '\n')
        throw input_error(name, "expected a comma after the closing quote in row {}", row);
      return cell;
    }
  }
  throw input_error(name, "expected a closing quote, the file ends in row {}", row);
}

}  // namespace

std::vector<std::vector<std::string>> read_csv(std::string_view text, std::string_view name, std::size_t columns) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t at = 0; at < text.size();) {
    std::vector<std::string> row;
    const dim number = dim(rows.size()) + 1;
    for (;;) {
      row.push_back(read_cell(text, at, name, number));
      const bool more = at < text.size() && text[at] == ',';
      if (at < text.size()) ++at;
      if (!more) break;
    }
    if (row.size() != columns)
      throw input_error(name, "expected {} cells in row {}, got {}", columns, number, row.size());
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace pith
