// Formats for each matrix under one budget of bytes.
#pragma once
#include <memory>

#include "compress/pipeline.h"

namespace pith {

// What each matrix loses in each format, measured once for all budgets of a range.
class FormatBudget {
 public:
  // Borrows model and recipe. The formats to choose from are those near the bits of `lowest` to `highest` bytes.
  FormatBudget(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
               dim lowest, dim highest);
  ~FormatBudget();
  dim smallest_bytes() const;  // of the files, with the smallest of the formats
  // Overrides as allocate_formats gives them. Measures at the first call.
  std::vector<Override> within(dim max_bytes, Progress& progress);

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
