#include "serve/http/client_threads.h"

#include <system_error>

namespace pith {

thread_local bool ClientThreads::refusing = false;

void ClientThreads::enqueue(std::function<void()> job) {
  {
    std::unique_lock lock(mutex_);
    if (dim(jobs_.size()) < idle_) {
      jobs_.push_back(std::move(job));
      lock.unlock();
      return changed_.notify_one();
    }
    if (dim(threads_.size()) < most_) {
      try {
        threads_.emplace_back([this] { work(); });
        jobs_.push_back(std::move(job));
        ++idle_;  // until it takes the job
        return changed_.notify_one();
      } catch (const std::system_error&) {
        // the system has no more threads: as if that were the bound
      }
    }
  }
  refusing = true;
  job();
  refusing = false;
}

void ClientThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    --idle_;
    lock.unlock();
    job();
    lock.lock();
    ++idle_;
  }
}

void ClientThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace pith
