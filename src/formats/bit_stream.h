// Codes of 1 to 8 bits in one little-endian stream: code i takes bits [i * bits, (i + 1) * bits); the last byte is
// filled up with zeros.
#pragma once
#include <algorithm>
#include <cstring>

#include "core/base.h"

namespace pith {

inline dim code_bytes(dim n, int bits) { return (n * bits + 7) / 8; }

// n is a multiple of 8 but at the end of a stream.
inline void pack_bits(const std::uint8_t* codes, dim n, int bits, std::byte* out) {
  if (bits == 8) {
    std::memcpy(out, codes, std::size_t(n));
    return;
  }
  for (dim i = 0; i < n; i += 8) {
    const dim count = std::min<dim>(8, n - i);
    std::uint64_t word = 0;
    for (dim k = 0; k < count; ++k) word |= std::uint64_t(codes[i + k]) << (k * bits);
    std::memcpy(out + i / 8 * bits, &word, std::size_t(code_bytes(count, bits)));
  }
}

// The 8 codes of the next Bits bytes.
template <int Bits>
void unpack8(const std::byte* in, std::uint8_t* codes) {
  std::uint64_t word = 0;
  std::memcpy(&word, in, Bits);
  for (int k = 0; k < 8; ++k) codes[k] = std::uint8_t(word >> (k * Bits) & ((1u << Bits) - 1));
}

inline std::uint32_t get_code(const std::byte* stream, dim j, int bits) {
  const dim at = j * bits;
  std::uint32_t pair = std::uint32_t(stream[at / 8]);
  if (at % 8 + bits > 8) pair |= std::uint32_t(stream[at / 8 + 1]) << 8;
  return pair >> (at % 8) & ((1u << bits) - 1);
}

inline void set_code(std::byte* stream, dim j, int bits, std::uint32_t code) {
  const dim at = j * bits;
  const std::uint32_t mask = ((1u << bits) - 1) << (at % 8), moved = code << (at % 8);
  stream[at / 8] = (stream[at / 8] & ~std::byte(mask & 255)) | std::byte(moved & 255);
  if (mask > 255) stream[at / 8 + 1] = (stream[at / 8 + 1] & ~std::byte(mask >> 8)) | std::byte(moved >> 8);
}

}  // namespace pith
