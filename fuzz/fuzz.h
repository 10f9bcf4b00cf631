// What the targets share: bytes as text, and the one way a parser may refuse them.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "core/error.h"
#include "io/mapped_file.h"

namespace pith::fuzz {

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline MappedFile file(const std::uint8_t* data, std::size_t size) {
  return MappedFile::of_bytes(std::as_bytes(std::span(data, size)));
}

// Reads every byte, so that a sanitizer sees where it lies.
inline void touch(const std::byte* bytes, dim size_bytes) {
  volatile unsigned sum = 0;
  for (dim i = 0; i < size_bytes; ++i) sum = sum + unsigned(bytes[i]);
}

// Runs the body; Error is the answer to bad input, everything else that is thrown is a bug and ends the run.
template <class Body>
int refuse_or_accept(Body&& body) {
  try {
    body();
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace pith::fuzz
