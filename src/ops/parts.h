// Loops whose threads need scratch memory of their own: part numbers are below num_threads().
#pragma once
#include <algorithm>

#include "core/parallel.h"

namespace pith {

// Items per thread that are worth waking one for, when an item is this many multiply-adds (or values touched).
inline dim grain_of(dim work_each) {
  constexpr dim kWorthwhile = 1 << 16;  // some microseconds
  return kWorthwhile / std::max<dim>(work_each, 1) + 1;
}

// body(part, begin, end) on disjoint ranges that cover [0, count).
template <class Body>
void parallel_parts(dim count, dim grain, Body&& body) {
  const dim parts = std::clamp<dim>(count / std::max<dim>(grain, 1), 1, num_threads());
  parallel_for(parts, [&](dim part) { body(part, count * part / parts, count * (part + 1) / parts); });
}

}  // namespace pith
