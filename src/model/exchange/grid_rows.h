// Encoded rows of a format on a grid, for layouts that pack them anew.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "core/parallel.h"
#include "formats/grid.h"

namespace pith {

// each(row, groups, codes): GridGroup (cols / grid.group), unsigned codes (cols). Rows of one block of `together` are
// visited by one thread, in order.
template <class Each>
void for_grid_rows(const Format& format, dim rows, dim cols, std::span<const std::byte> encoded, dim together,
                   const Each& each) {
  const Grid grid = grid_of(format, cols);
  const dim bytes = row_bytes(format, cols), groups = cols / grid.group;
  parallel_ranges((rows + together - 1) / together, 1, [&](dim first, dim last) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(cols));
    std::vector<GridGroup> of_row(static_cast<std::size_t>(groups));
    for (dim r = first * together; r < std::min(rows, last * together); ++r) {
      for (dim g = 0; g < groups; ++g)
        of_row[std::size_t(g)] = read_group(format, grid, encoded.data() + r * bytes, g, codes.data() + g * grid.group);
      each(r, of_row.data(), codes.data());
    }
  });
}

// A part as numbers; parts start aligned.
template <class T>
T* numbers(std::vector<std::byte>& part) {
  return reinterpret_cast<T*>(part.data());
}

}  // namespace pith
