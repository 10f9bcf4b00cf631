// Loops over threads. Work is split statically, so results do not depend on timing; bodies must not
// depend on the split either (each index writes its own outputs).
#pragma once
#include <type_traits>

#include "core/base.h"

namespace pith {

int num_threads();  // at least 1; PITH_THREADS, else OMP_NUM_THREADS, else the processors we may use
void set_num_threads(int n);

namespace detail {
using RangeBody = void (*)(void* context, dim begin, dim end);
void parallel_ranges(dim count, dim grain, RangeBody body, void* context);
}  // namespace detail

// body(begin, end) on disjoint ranges that cover [0, count); no range but the last is shorter than
// `grain`. An exception of the lowest failing range is
// rethrown here after all have ended. A loop inside a loop's body runs on the thread that meets it.
template <class Body>
void parallel_ranges(dim count, dim grain, Body&& body) {
  using B = std::remove_reference_t<Body>;
  detail::parallel_ranges(
      count, grain, [](void* c, dim begin, dim end) { (*static_cast<B*>(c))(begin, end); }, (void*)&body);
}

// body(i) for every i in [0, count).
template <class Body>
void parallel_for(dim count, Body&& body, dim grain = 1) {
  parallel_ranges(count, grain, [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) body(i);
  });
}

}  // namespace pith
