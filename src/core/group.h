// Processes that do one piece of work together, started by mpirun; or this process alone.
#pragma once
#include <memory>
#include <span>

#include "core/base.h"

namespace pith {

// All processes make the same calls in the same order, each from its main thread.
class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  bool first() const { return rank() == 0; }  // the one that writes files and reports
  // `sum`, the same in all processes, plus the part of rank 0, plus that of rank 1, ... of the first `parts` ranks: in
  // all processes the bits that one process gets which adds these parts one after another.
  virtual void add_in_order(std::span<const float> part, std::span<float> sum, int parts);
  virtual void add_in_order(std::span<const double> part, std::span<double> sum, int parts);
  virtual void largest(std::span<float> /*values*/) {}                     // of all processes, each
  virtual void broadcast(std::span<std::byte> /*bytes*/, int /*from*/) {}  // as they are in rank `from`
  virtual void barrier() {}
};
Group& one_process();

// The sum of numbers in their order, each of which one process knows and the others have as 0.
double sum_in_order(std::span<const double> known, Group& group);

// What the launcher told this process. Known before it joins, and to a build without MPI.
struct Launch {
  int rank = 0, size = 1;
};
Launch launch();

// The group of all processes that were launched; it ends with the object, which waits for the others. Once, before the
// first threads start: where nobody said how many, processes share the processors that they may all use.
// Error(environment) in a build without MPI, or where another MPI launched them.
std::unique_ptr<Group> join_group();
// Ends all processes of the group at once, each with a word on standard error.
[[noreturn]] void abort_group(int exit_code);

}  // namespace pith
