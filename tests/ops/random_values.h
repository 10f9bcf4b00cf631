// Operands for tests of operators.
#pragma once
#include <vector>

#include "core/rng.h"
#include "core/weight.h"
#include "formats/format.h"

namespace pith::test {

// Of the standard normal distribution.
inline std::vector<float> normals(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = float(rng.normal());
  return v;
}

// Rounded to nearest.
inline Weight encoded(const Format& format, const std::vector<float>& values, dim rows, dim cols) {
  Encoded e;
  e.format = &format;
  e.rows = rows;
  e.cols = cols;
  const dim size = row_bytes(format, cols);
  e.owned = Buffer(rows * size);
  for (dim r = 0; r < rows; ++r)
    format.encode(format, values.data() + r * cols, nullptr, cols, {}, e.owned.data() + r * size);
  e.data = e.owned.data();
  return e;
}

}  // namespace pith::test
