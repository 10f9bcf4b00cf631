// What a search has measured already, in a folder of its own: a file a candidate, each whole or absent.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/recipe.h"
#include "report/study/record.h"

namespace pith {

class FitJournal {
 public:
  // keep: what an earlier run left stays. stamp: of all that the measurements depend on beside the recipe.
  FitJournal(const std::filesystem::path& target, std::string stamp, bool keep);

  std::optional<report::ModelRecord> record(const std::string& recipe) const;
  void keep(const std::string& recipe, const report::ModelRecord& record) const;
  // Formats that were chosen for so many bytes.
  std::optional<std::vector<Override>> formats(const std::string& key) const;
  void keep_formats(const std::string& key, const std::vector<Override>& formats) const;

  // Where the candidate of this recipe is written.
  std::filesystem::path model_path(const std::string& recipe, bool folder) const;
  void remove_all() const;

 private:
  std::filesystem::path at(const std::string& key, const char* ending) const;
  std::filesystem::path folder_;
  std::string stamp_;
};

// "folder/.NAME.pith-fit"
std::filesystem::path fit_folder(std::filesystem::path target);

}  // namespace pith
