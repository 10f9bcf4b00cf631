// The codebooks of the lattice formats: fixed sets of points of 8 or 4 coordinates, each of 3 or 8 levels.
#pragma once
#include <cstdint>

#include "core/base.h"

namespace pith::kernels {

// The members live as long as the program.
struct Codebook {
  int count;                  // points, a multiple of 256
  int length;                 // coordinates of a point
  int levels;                 // a coordinate is a digit in [0, levels)
  const float* level;         // (levels) what a digit stands for, ascending
  const float* rows;          // (count, length) coordinates
  const float* columns;       // (length, count) the same, aligned to 32 bytes
  const float* norms;         // (count) sums of squared coordinates, aligned to 32 bytes
  const std::int16_t* at;     // (levels^length) the point whose digits give the key sum digit[i] * levels^i, or -1
  const std::uint16_t* keys;  // (count) ascending
};

// Levels 8, 25, 43: 256, 512 and 1024 points of 8.
const Codebook& codebook_2xxs();
const Codebook& codebook_2xs();
const Codebook& codebook_2s();
// 256 points of 4 with levels 4, 12, 20, 28, 36, 44, 52, 62; 512 points of 4 with levels 1, 3 .. 15.
const Codebook& codebook_3xxs();
const Codebook& codebook_3s();
// 2048 points of 8 with levels -1, 0, 1.
const Codebook& codebook_1();

}  // namespace pith::kernels
