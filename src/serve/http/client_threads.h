// A thread for each connection, up to so many.
#pragma once
#include <httplib.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base.h"

namespace pith {

class ClientThreads : public httplib::TaskQueue {
 public:
  explicit ClientThreads(dim most) : most_(most) {}
  // Runs the job on a free thread or a new one; when there are `most` already, here, with `refusing` true.
  void enqueue(std::function<void()> job) override;
  void shutdown() override;  // after the jobs that were taken
  static thread_local bool refusing;

 private:
  void work();
  const dim most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  dim idle_ = 0;
  bool stopping_ = false;
};

}  // namespace pith
