// What a linear layer can be. A closed set: a method maps one such weight to another, so methods
// compose, and the forward pass never sees a format.
#pragma once
#include <variant>
#include <vector>

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

enum class SparseLayout { bitmask, two_of_four, listed };

// A matrix (rows, cols) of which only the kept values are stored; layouts: formats/sparse.h. Ownership as above.
struct Sparse {
  SparseLayout layout = SparseLayout::bitmask;
  dim rows = 0;
  dim cols = 0;
  bool shared = false;                       // listed: all rows keep the same columns
  Encoded values;                            // bitmask: (1, kept); two_of_four: (rows, cols / 2); listed: (rows, kept)
  const std::byte* positions = nullptr;      // of the kept values in each row
  const std::int64_t* row_starts = nullptr;  // bitmask: where each row's values begin, and their number: (rows + 1)
  const std::byte* scales = nullptr;         // bitmask, of codes on a grid: each group's float16, (rows, groups)
  Buffer owned;
};

// The sum of matrices of one shape, e.g. quantized values and outliers apart. At least one.
struct Sum {
  std::vector<std::variant<Encoded, Sparse>> parts;
};

using Weight = std::variant<Encoded, Sparse, Sum>;

}  // namespace pith
