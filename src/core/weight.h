// What a linear layer can be. A closed set: a method maps one such weight to another, so methods
// compose, and the forward pass never sees a format.
#pragma once
#include <variant>

#include "core/buffer.h"

namespace pith {

struct Format;  // formats/format.h

// A matrix (rows = out features, cols = in features) in one storage format; row r starts at
// data + r * row_bytes(*format, cols). `data` points into a memory map owned elsewhere (the Model) or
// into `owned`.
struct Encoded {
  const Format* format = nullptr;
  dim rows = 0;
  dim cols = 0;
  const std::byte* data = nullptr;
  Buffer owned;
};

using Weight = std::variant<Encoded>;

}  // namespace pith
