// Where the files of tasks are, and what they hold. Errors say file and line.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/sha256.h"

namespace pith {

// Looks files up under one folder and remembers a hash of all that were read.
class TaskFiles {
 public:
  // folder empty: $PITH_DATA/tasks, else ../shared/data/tasks from the working directory.
  explicit TaskFiles(const std::filesystem::path& folder);
  // The first of these that exists. Error(input) that names the folder and all of them.
  std::string read(std::initializer_list<std::string_view> candidates);
  std::string read_path(const std::filesystem::path& path);
  // Names of the files in a folder that end so, sorted; empty where there is none.
  std::vector<std::string> list(std::string_view folder, std::string_view ending) const;
  const std::string& last() const { return last_; }  // the file read last, for messages
  std::string hash() { return hash_.hex(); }         // once, at the end

 private:
  std::filesystem::path folder_;
  std::string last_;
  Sha256 hash_;
};

// One record of a file, with the place it came from.
class Record {
 public:
  Record(nlohmann::json value, std::string where) : value_(std::move(value)), where_(std::move(where)) {}
  bool has(const char* key) const { return value_.is_object() && value_.contains(key) && !value_[key].is_null(); }
  std::string text(const char* key) const;
  std::string text_or(const char* key, std::string_view otherwise) const;
  std::vector<std::string> texts(const char* key) const;  // a list of texts, or a single one
  int index(const char* key, std::size_t count) const;    // in 0 ... count - 1
  const nlohmann::json& value() const { return value_; }
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& at(const char* key) const;
  nlohmann::json value_;
  std::string where_;
};

// An object a line; empty lines are passed by.
std::vector<Record> read_jsonl(std::string_view text, std::string_view name);
std::vector<Record> read_json_list(std::string_view text, std::string_view name);  // of objects
// RFC 4180: cells in quotes may hold commas, newlines and doubled quotes. Rows of `columns` cells.
std::vector<std::vector<std::string>> read_csv(std::string_view text, std::string_view name, std::size_t columns);

}  // namespace pith
