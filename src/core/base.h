// The few names every other file uses.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pith {

using dim = std::int64_t;    // every size, count and index is signed 64-bit
using Token = std::int32_t;  // an index into a vocabulary; negative means "none"

}  // namespace pith
