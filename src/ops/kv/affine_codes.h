// Evenly spaced codes with a scale and a minimum, which the integer codecs share.
#pragma once
#include "formats/bit_stream.h"
#include "ops/kv/kv_codec.h"

namespace pith {

// Each token by itself: groups of `group` values along the head, of each its scale and minimum (float16) and its codes.
// The last group of a head may be shorter.
KvSide token_groups(dim head_dim, int bits, dim group);
// Each channel by itself over `tokens` positions: scales (head_dim), minima (head_dim), then the codes of each
// position.
KvSide channel_groups(dim head_dim, int bits, dim tokens);

void put_code(std::byte* stream, dim index, int bits, unsigned code);  // into zeroed bytes

struct ScaleMin {
  float scale, min;  // what float16 holds
};
ScaleMin affine_fit(float low, float high, int top);
// 0 ... top, nearest; for any value at all.
inline unsigned affine_code(float value, float min, float inverse_scale, float top) {
  const float code = (value - min) * inverse_scale + 0.5f;
  return code >= top ? unsigned(top) : code > 0 ? unsigned(code) : 0u;
}

}  // namespace pith
