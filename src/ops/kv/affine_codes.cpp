#include "ops/kv/affine_codes.h"

#include <algorithm>

#include "kernels/kv_codes.h"
#include "ops/kv/half_bytes.h"

namespace pith {

void put_code(std::byte* stream, dim index, int bits, unsigned code) {
  const dim at = index * bits;
  const unsigned placed = code << (at & 7);
  stream[at >> 3] |= std::byte(placed & 255);
  if (placed > 255) stream[(at >> 3) + 1] |= std::byte(placed >> 8);
}

ScaleMin affine_fit(float low, float high, int top) {
  constexpr float kMost = 65504;
  low = std::clamp(low, -kMost, kMost);
  high = std::clamp(high, -kMost, kMost);
  return {to_finite_half((high - low) / float(top)), to_finite_half(low)};
}

namespace {

constexpr dim kHeader = 4;  // scale and minimum

void encode_tokens(const KvSide& s, const float* x, std::byte* out) {
  const int top = (1 << s.bits) - 1;
  std::fill_n(out, s.block_bytes, std::byte{});
  for (dim at = 0; at < s.head_dim; at += s.group) {
    const dim n = std::min(s.group, s.head_dim - at);
    const auto [low, high] = std::minmax_element(x + at, x + at + n);
    const ScaleMin fit = affine_fit(*low, *high, top);
    store_half(out, fit.scale);
    store_half(out + 2, fit.min);
    const float inverse = fit.scale > 0 ? 1 / fit.scale : 0;
    for (dim i = 0; i < n; ++i)
      put_code(out + kHeader, i, s.bits, affine_code(x[at + i], fit.min, inverse, float(top)));
    out += kHeader + code_bytes(n, s.bits);
  }
}

void decode_tokens(const KvSide& s, const std::byte* in, float* out, float*) {
  for (dim at = 0; at < s.head_dim; at += s.group) {
    const dim n = std::min(s.group, s.head_dim - at);
    kernels::kv_kernels().affine(in + kHeader, n, s.bits, load_half(in), load_half(in + 2), out + at);
    in += kHeader + code_bytes(n, s.bits);
  }
}

void encode_channels(const KvSide& s, const float* x, std::byte* out) {
  const int top = (1 << s.bits) - 1;
  const dim n = s.head_dim, row_bytes = code_bytes(n, s.bits);
  std::fill_n(out, s.block_bytes, std::byte{});
  for (dim c = 0; c < n; ++c) {
    float low = x[c], high = x[c];
    for (dim t = 1; t < s.tokens; ++t) {
      low = std::min(low, x[t * n + c]);
      high = std::max(high, x[t * n + c]);
    }
    const ScaleMin fit = affine_fit(low, high, top);
    store_half(out + 2 * c, fit.scale);
    store_half(out + 2 * (n + c), fit.min);
    const float inverse = fit.scale > 0 ? 1 / fit.scale : 0;
    for (dim t = 0; t < s.tokens; ++t)
      put_code(out + 4 * n + t * row_bytes, c, s.bits, affine_code(x[t * n + c], fit.min, inverse, float(top)));
  }
}

void decode_channels(const KvSide& s, const std::byte* in, float* out, float* scratch) {
  const dim n = s.head_dim, row_bytes = code_bytes(n, s.bits);
  for (dim c = 0; c < 2 * n; ++c) scratch[c] = load_half(in + 2 * c);
  for (dim t = 0; t < s.tokens; ++t)
    kernels::kv_kernels().affine_each(in + 4 * n + t * row_bytes, n, s.bits, scratch, scratch + n, out + t * n);
}

}  // namespace

KvSide token_groups(dim head_dim, int bits, dim group) {
  KvSide s;
  s.head_dim = head_dim;
  s.bits = bits;
  s.group = std::min(group, head_dim);
  for (dim at = 0; at < head_dim; at += s.group)
    s.block_bytes += kHeader + code_bytes(std::min(s.group, head_dim - at), bits);
  s.encode = encode_tokens;
  s.decode = decode_tokens;
  return s;
}

KvSide channel_groups(dim head_dim, int bits, dim tokens) {
  KvSide s;
  s.head_dim = head_dim;
  s.tokens = tokens;
  s.bits = bits;
  s.block_bytes = 4 * head_dim + tokens * code_bytes(head_dim, bits);
  s.encode = encode_channels;
  s.decode = decode_channels;
  return s;
}

}  // namespace pith
