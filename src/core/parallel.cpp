#include "core/parallel.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "core/error.h"

#ifdef PITH_STD_THREADS  // under ThreadSanitizer, which cannot see into libgomp
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace pith {

namespace {

int initial_threads() {
  for (const char* name : {"PITH_THREADS", "OMP_NUM_THREADS"})
    if (const char* text = std::getenv(name))
      if (const int n = std::atoi(text); n > 0) return n;
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int& threads() {
  static int n = initial_threads();
  return n;
}

}  // namespace

int num_threads() { return threads(); }

void set_num_threads(int n) {
  PITH_CHECK(n > 0);
  threads() = n;
#ifndef PITH_STD_THREADS
  omp_set_num_threads(n);  // oneDNN reads this too
#endif
}

namespace detail {

void parallel_ranges(dim count, dim grain, RangeBody body, void* context) {
  if (count <= 0) return;
  const dim parts = std::clamp<dim>(count / std::max<dim>(grain, 1), 1, num_threads());
  if (parts == 1) return body(context, 0, count);
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto run = [&](dim part) {
    try {
      body(context, count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
#ifdef PITH_STD_THREADS
  std::vector<std::thread> pool;
  for (dim part = 1; part < parts; ++part) pool.emplace_back(run, part);
  run(0);
  for (auto& t : pool) t.join();
#else
#pragma omp parallel for schedule(static, 1) num_threads(int(parts))
  for (dim part = 0; part < parts; ++part) run(part);
#endif
  if (failure) std::rethrow_exception(failure);
}

}  // namespace detail
}  // namespace pith
