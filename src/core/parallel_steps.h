// A loop over threads in small steps, taken by whichever thread is free: for long loops beside other work, where a
// static split waits for its slowest part.
#pragma once
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "core/parallel.h"

namespace pith {

// body(state, begin, end) on all of [0, count), at most `step` indices at a time, with a state that each thread makes
// for itself; results must not depend on who takes which. An exception of the lowest failing step is rethrown here
// after all have ended.
template <class Make, class Body>
void parallel_steps(dim count, dim step, const Make& make, const Body& body) {
  const dim steps = (count + step - 1) / step;
  std::atomic<dim> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  dim failed_step = steps;
  const auto take = [&](auto& state, dim i) {
    try {
      body(state, i * step, std::min(count, (i + 1) * step));
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < failed_step) failed_step = i, failure = std::current_exception();
    }
  };
  parallel_for(std::min<dim>(num_threads(), steps), [&](dim) {
    auto state = make();
    for (dim i; (i = next.fetch_add(1, std::memory_order_relaxed)) < steps;) take(state, i);
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace pith
