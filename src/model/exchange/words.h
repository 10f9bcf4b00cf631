// Streams of b-bit codes in 32-bit words, low bits first: code i takes bits [i * b, (i + 1) * b) of the words taken as
// one little-endian number. `stride` words lie between one word of the stream and the next.
#pragma once
#include <cstring>

#include "core/base.h"

namespace pith {

inline dim packed_words(dim codes, int bits) { return (codes * bits + 31) / 32; }

inline void put_bits(std::uint32_t* words, dim stride, dim i, int bits, std::uint32_t code) {  // into zeros
  const dim at = i * bits, word = at / 32;
  const int shift = int(at % 32);
  words[word * stride] |= code << shift;
  if (shift + bits > 32) words[(word + 1) * stride] |= code >> (32 - shift);
}

// Element i of unaligned little-endian numbers.
template <class T>
T load_at(const std::byte* data, dim i) {
  T v;
  std::memcpy(&v, data + i * dim(sizeof v), sizeof v);
  return v;
}

inline std::uint32_t get_bits(const std::byte* words, dim stride, dim i, int bits) {
  const dim at = i * bits, word = at / 32;
  const int shift = int(at % 32);
  std::uint64_t pair = load_at<std::uint32_t>(words, word * stride);
  if (shift + bits > 32) pair |= std::uint64_t(load_at<std::uint32_t>(words, (word + 1) * stride)) << 32;
  return std::uint32_t(pair >> shift) & ((1u << bits) - 1);
}

}  // namespace pith
