// Noise within the rounding cells of a quantized source.
#pragma once
#include <string_view>

#include "formats/format.h"

namespace pith {

// For each of the n values of an encoded row, the width of the cell that rounded to its code: the distance
// between neighbouring codes on its block's own scales (their mean where the grid is uneven). 0 in blocks
// that hold nothing but zeros. Works through Format::put alone, so for any format whose codes of one block do
// not depend on each other.
void local_steps(const Format& f, const std::byte* row, dim n, float* steps);

// The seed of one tensor's noise.
std::uint64_t dither_seed(std::uint64_t seed, std::string_view tensor_name);

// Adds uniform noise in [-step/2, step/2) to the decoded values of one row of n. first_index: the index in its
// tensor of the row's first value, so any thread may do any row.
void add_dither(const Format& f, const std::byte* row, dim n, std::uint64_t seed, dim first_index, float* values);

}  // namespace pith
