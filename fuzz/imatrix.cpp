// Importance matrices, both forms: every accepted value is finite and not negative.
#include "io/imatrix.h"

#include <cmath>

#include "fuzz/fuzz.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const Imatrix matrix = parse_imatrix(fuzz::file(data, size), "fuzz");
    for (const auto& [name, values] : matrix.mean_squares)
      for (const float v : values) PITH_CHECK(std::isfinite(v) && v >= 0);
  });
}
