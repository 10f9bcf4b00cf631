// Formats whose groups are even grids between two ends, seen alike through their own `fit` and `put`: what learns the
// ends of ranges and the codes between them need not know how either is stored.
#pragma once
#include <optional>
#include <vector>

#include "formats/format.h"

namespace pith {

struct LevelGrid {
  const Format* format = nullptr;
  dim cols = 0;
  dim group = 0;           // values that share a range
  int top = 0;             // the largest code: levels less one
  bool symmetric = false;  // one number decides both ends
};
// Nothing for formats that are no such grids.
std::optional<LevelGrid> level_grid(const Format& format, dim cols);

struct Ends {
  float low = 0, high = 0;
};
// Of the groups of an encoded row, (cols / group).
void read_ends(const LevelGrid& grid, const std::byte* row, Ends* out);
// Fits the row's ranges to the wanted ends (of symmetric formats the larger one decides), as near as the format can
// store them, and returns what they are. The codes are to be put then.
void store_ends(const LevelGrid& grid, const Ends* wanted, std::byte* row, Ends* out);
// Puts the codes nearest to the values, (cols), on the ranges that are stored.
void put_row(const LevelGrid& grid, const float* values, std::byte* row);

}  // namespace pith
