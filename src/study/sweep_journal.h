// What a sweep has measured: a line a point, appended when the point is done, so that a killed sweep loses no more than
// the point it was at.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "io/descriptor.h"
#include "report/study/record.h"

namespace pith {

struct SweepEntry {
  std::string key;   // of all that the measurement depends on
  std::string name;  // for people who read the file
  std::optional<report::ModelRecord> record;
  std::string error;  // where there is no record
};

class SweepJournal {
 public:
  // Reads folder/journal.jsonl, where there is one; a torn last line is dropped, another one that is no entry is
  // Error(input) with its number. for_adding: makes folder and file, and holds them against a second sweep
  // (Error(environment) where one is at work).
  SweepJournal(const std::filesystem::path& folder, bool for_adding);

  const SweepEntry* find(const std::string& key) const;  // the latest
  void add(SweepEntry entry);                            // durable when it returns

 private:
  void hold();
  void read();

  std::filesystem::path path_;
  Descriptor file_;  // open where entries are added
  std::map<std::string, SweepEntry> entries_;
};

}  // namespace pith
