#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace pith {

namespace {

int initial_threads() {
  for (const char* name : {"PITH_THREADS", "OMP_NUM_THREADS"})
    if (const char* text = std::getenv(name))
      if (const int n = std::atoi(text); n > 0) return std::min(n, 1024);
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int& threads() {
  static int n = initial_threads();
  return n;
}

// Waits until `value` is no longer `old`: a few microseconds awake, since the next loop often follows at once, then
// asleep, since the machine may have other work.
void wait_while(const std::atomic<unsigned>& value, unsigned old) {
  for (int i = 0; i < 2000; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  value.wait(old, std::memory_order_acquire);
}

struct Job {
  detail::RangeBody body;
  void* context;
  dim count, parts;
};

// Worker w runs part w + 1 of each job; the caller runs part 0. One job at a time.
class Pool {
 public:
  ~Pool() {
    stop_ = true;
    announce();
    for (auto& worker : workers_) worker.join();
  }

  std::mutex& mutex() { return mutex_; }

  void run(const Job& job) {  // mutex() is held
    while (dim(workers_.size()) + 1 < job.parts) {
      const auto part = dim(workers_.size()) + 1;
      workers_.emplace_back([this, part, seen = generation_.load()] { work(part, seen); });
    }
    job_ = job;
    failure_ = nullptr;
    failed_part_ = job.parts;
    pending_.store(unsigned(workers_.size()), std::memory_order_relaxed);
    announce();
    run_part(0);
    for (unsigned left; (left = pending_.load(std::memory_order_acquire)) != 0;) wait_while(pending_, left);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void announce() {
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
  }

  void work(dim part, unsigned seen) {
    for (;;) {
      wait_while(generation_, seen);
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      if (part < job_.parts) run_part(part);
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_all();
    }
  }

  void run_part(dim part);

  std::mutex mutex_;
  std::vector<std::thread> workers_;
  Job job_ = {};
  std::atomic<unsigned> generation_ = 0, pending_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // of the lowest part that failed, so that it does not depend on timing
  dim failed_part_ = 0;
};

thread_local bool inside_loop = false;

void Pool::run_part(dim part) {
  inside_loop = true;
  try {
    job_.body(job_.context, job_.count * part / job_.parts, job_.count * (part + 1) / job_.parts);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (part < failed_part_) {
      failed_part_ = part;
      failure_ = std::current_exception();
    }
  }
  inside_loop = false;
}

// A child of fork has none of its parent's threads: it leaves that pool alone and makes its own.
Pool* pool_of_process = nullptr;

Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, [] { pool_of_process = nullptr; }); });
  static std::mutex making;
  const std::lock_guard lock(making);
  if (!pool_of_process) {
    pool_of_process = new Pool;
    std::atexit([] { delete std::exchange(pool_of_process, nullptr); });
  }
  return *pool_of_process;
}

}  // namespace

int num_threads() { return threads(); }

void set_num_threads(int n) {
  PITH_CHECK(n > 0);
  threads() = n;
}

namespace detail {

void parallel_ranges(dim count, dim grain, RangeBody body, void* context) {
  if (count <= 0) return;
  const dim parts = std::clamp<dim>(count / std::max<dim>(grain, 1), 1, num_threads());
  if (parts == 1 || inside_loop) return body(context, 0, count);
  Pool& shared = pool();
  const std::unique_lock lock(shared.mutex(), std::try_to_lock);
  if (!lock) return body(context, 0, count);  // another thread of the program is using it
  shared.run({body, context, count, parts});
}

}  // namespace detail
}  // namespace pith
