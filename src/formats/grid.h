// Formats whose groups are integers on an even grid, seen alike: value = (code - zero) * scale, or code * scale + min,
// with unsigned codes and float16 scales. What lies on such a grid moves exactly to another format that has the grid.
#pragma once
#include "formats/format.h"

namespace pith {

enum class GridKind {
  none,        // not such a format
  symmetric,   // zero is 2^(bits - 1) in every group
  zero_point,  // zero is stored
  minimum,     // min is stored
};
struct Grid {
  GridKind kind = GridKind::none;
  int bits = 0;
  dim group = 0;  // values that share a scale
};
// For a row of `cols` values. Kind none where cols is no whole number of blocks, too.
Grid grid_of(const Format& f, dim cols);

struct GridGroup {
  std::uint16_t scale_bits = 0;
  std::uint16_t min_bits = 0;  // kind minimum only
  int zero = 0;                // all other kinds
};
// Group g of an encoded row of a format on a grid; codes: grid.group values.
GridGroup read_group(const Format& f, const Grid& grid, const std::byte* row, dim g, std::uint8_t* codes);
// zero: ignored for symmetric formats, at most 255 for others.
void write_group(const Format& f, const Grid& grid, const GridGroup& group, const std::uint8_t* codes, dim g,
                 std::byte* row);

// Whether rows of `from` can be stored as `to` without changing any value.
bool moves_exactly(const Format& from, const Format& to, dim cols);
// Such a move. Error(input) at `where` when a zero point or minimum of this row cannot be stored after all.
void move_row(const Format& from, const Format& to, const std::byte* in, dim cols, std::byte* out,
              std::string_view where);

}  // namespace pith
