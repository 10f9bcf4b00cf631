// Unevenly spaced codes for a block of positions, with its most extreme values kept apart.
#pragma once
#include "ops/kv/kv_codec.h"

namespace pith {

// By channel (over the block's positions) or by token (over the head). Of each vector its scale and shift (float16),
// then the codes of each position, then `outliers` pairs of place (16 bits, in tokens x head_dim) and value (float16):
// those values whose absence narrows the ranges of their vectors most. Error(input) where places need more than 16
// bits.
KvSide level_channels(dim head_dim, int bits, dim tokens, dim outliers);
KvSide level_tokens(dim head_dim, int bits, dim tokens, dim outliers);

// 2^bits ascending levels in [-1, 1], bits in 2 ... 4, in a table of 16: where k-means puts them for normal vectors of
// 64 values, each shifted and scaled to its own range.
const float* normal_levels(int bits);

}  // namespace pith
