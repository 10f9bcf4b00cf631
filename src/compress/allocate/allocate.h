// Formats for each matrix under one budget of bytes.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "compress/pipeline.h"

namespace pith {

// Corrections of low rank that may stand beside rounded matrices (compress/lowrank/recover.h).
struct CorrectionChoice {
  std::vector<dim> ranks = {2, 4, 8, 16, 32, 64};  // beside 0
  double bytes_per_value = 2;                      // float16
};

struct BudgetSplit {
  std::vector<Override> formats;
  std::map<std::pair<Role, dim>, dim> ranks;  // by role and layer, where above 0
  double predicted = 0;                       // divergence
  double bits_alone = 0;                      // the same with all ranks 0
};

// What each matrix loses in each format, measured once for all budgets of a range.
class FormatBudget {
 public:
  // Borrows model and recipe. The formats to choose from are those near the bits of `lowest` to `highest` bytes.
  // correction: ranks are chosen, too; the bytes are then those of the files and of the corrections.
  FormatBudget(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
               dim lowest, dim highest, const std::optional<CorrectionChoice>& correction = {});
  ~FormatBudget();
  dim smallest_bytes() const;  // of the files, with the smallest of the formats
  // Formats as allocate_formats gives them. Measures at the first call. Never predicts more than bits alone would.
  BudgetSplit within(dim max_bytes, Progress& progress);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Overrides that give every linear and the embedding a format of the container, so that the written weight files take
// at most recipe.max_bytes and the predicted divergence from the original is least. Error(input) when no choice is so
// small.
std::vector<Override> allocate_formats(const Model& model, const Recipe& recipe, Container container,
                                       const std::filesystem::path& target, Progress& progress);

}  // namespace pith
