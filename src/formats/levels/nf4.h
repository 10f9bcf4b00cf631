// The formats of 4-bit codes into one table, as bitsandbytes has them: NormalFloat (QLoRA, arXiv:2305.14314) and its
// FP4. Of each pair of values the first is the high nibble of its byte.
//   nf4_b64, fp4_b64,        0            4          36          value = table[code] * absmax
//   per 64 values:           | absmax f32 | 32 bytes |
//   nf4_b64_dq, per row:     | offset f32 | nested f32 per 256 blocks | q u8 per block | codes, 2 a byte |
//                            absmax of block b = scale_map[q[b]] * nested[b / 256] + offset
// A row of nf4_b64_dq may have any length: its last block, last group of 256 blocks and last byte may be shorter. Rows
// are independent, so the offset is of a row and no group of 256 crosses from one row to the next.
#pragma once
#include <span>

#include "formats/format.h"

namespace pith {

inline constexpr float kNf4Table[16] = {-1.0f,
                                        -0.6961928009986877f,
                                        -0.5250730514526367f,
                                        -0.39491748809814453f,
                                        -0.28444138169288635f,
                                        -0.18477343022823334f,
                                        -0.09105003625154495f,
                                        0.0f,
                                        0.07958029955625534f,
                                        0.16093020141124725f,
                                        0.24611230194568634f,
                                        0.33791524171829224f,
                                        0.44070982933044434f,
                                        0.5626170039176941f,
                                        0.7229568362236023f,
                                        1.0f};
// Bit 3 is the sign; the magnitudes are twelfths of 0, 1/16, 8, 12, 4, 6, 2, 3.
inline constexpr float kFp4Table[16] = {0.0f,       0.0625f / 12, 8.0f / 12,  1.0f,          4.0f / 12,  6.0f / 12,
                                        2.0f / 12,  3.0f / 12,    -0.0f,      -0.0625f / 12, -8.0f / 12, -1.0f,
                                        -4.0f / 12, -0.5f,        -2.0f / 12, -3.0f / 12};
inline constexpr dim kNf4Block = 64, kNf4Group = 256;

// Where the parts of an nf4_b64_dq row of n values begin.
struct Nf4DqLayout {
  dim blocks, groups;
  dim nested, scales, codes;  // byte offsets; the offset is at 0
  dim bytes;
};
Nf4DqLayout nf4_dq_layout(dim n);

// The values of the 8-bit scales of nf4_b64_dq, ascending: the signed "dynamic" type of 8-bit optimizers
// (arXiv:2110.02861): 2^i values evenly in each [10^(i-7), 10^(i-6)] for i < 7, their negatives, 0 and 1.
std::span<const float, 256> nf4_scale_map();

}  // namespace pith
