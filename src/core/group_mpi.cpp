// The only file that knows MPI.
#include <cstdlib>

#include "core/error.h"
#include "core/group.h"

#ifdef PITH_MPI
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/buffer.h"
#include "core/parallel.h"

namespace pith {

namespace {

constexpr dim kAtOnce = dim(1) << 20;  // values of one exchange

char last_word[96];

// The launcher asks the others to end when one has failed.
void on_ended(int) {
  [[maybe_unused]] const auto written = write(STDERR_FILENO, last_word, std::strlen(last_word));
  _exit(1);
}

// Of the processes on this machine those that may use the same processors get an equal share each.
void share_processors() {
  if (std::getenv("PITH_THREADS") || std::getenv("OMP_NUM_THREADS")) return;
  MPI_Comm machine;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
  int count = 1;
  MPI_Comm_size(machine, &count);
  cpu_set_t mine, both;
  CPU_ZERO(&mine);
  sched_getaffinity(0, sizeof mine, &mine);
  std::vector<cpu_set_t> all(static_cast<std::size_t>(count));
  MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, machine);
  MPI_Comm_free(&machine);
  const auto sharing = std::count_if(all.begin(), all.end(), [&](const cpu_set_t& other) {
    CPU_AND(&both, &mine, &other);
    return CPU_COUNT(&both) > 0;
  });
  set_num_threads(std::max(1, num_threads() / std::max(1, int(sharing))));
}

class MpiGroup final : public Group {
 public:
  MpiGroup() {
    int given = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    std::snprintf(last_word, sizeof last_word, "pith: rank %d of %d ends: it was told to, or another failed\n", rank_,
                  size_);
    std::signal(SIGTERM, on_ended);
  }
  ~MpiGroup() override { MPI_Finalize(); }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void add_in_order(std::span<const float> part, std::span<float> sum, int parts) override {
    add(part, sum, parts, MPI_FLOAT);
  }
  void add_in_order(std::span<const double> part, std::span<double> sum, int parts) override {
    add(part, sum, parts, MPI_DOUBLE);
  }
  void largest(std::span<float> values) override {
    MPI_Allreduce(MPI_IN_PLACE, values.data(), int(values.size()), MPI_FLOAT, MPI_MAX, MPI_COMM_WORLD);
  }
  void broadcast(std::span<std::byte> bytes, int from) override {
    for (std::size_t at = 0; at < bytes.size(); at += kAtOnce) {
      const auto count = std::min(std::size_t(kAtOnce), bytes.size() - at);
      MPI_Bcast(bytes.data() + at, int(count), MPI_BYTE, from, MPI_COMM_WORLD);
    }
  }
  void barrier() override { MPI_Barrier(MPI_COMM_WORLD); }

 private:
  // Each rank adds up a slice of every piece, and then all get all slices.
  template <class T>
  void add(std::span<const T> part, std::span<T> sum, int parts, MPI_Datatype type) {
    PITH_CHECK(part.size() == sum.size() && parts <= size_);
    const auto ranks = std::size_t(size_);
    std::vector<int> count(ranks), start(ranks), mine(ranks), place(ranks);
    for (dim at = 0; at < dim(sum.size()); at += kAtOnce) {
      const dim n = std::min(kAtOnce, dim(sum.size()) - at);
      for (std::size_t r = 0; r < ranks; ++r) {
        start[r] = int(n * dim(r) / size_);
        count[r] = int(n * dim(r + 1) / size_) - start[r];
      }
      const int own = count[std::size_t(rank_)];
      for (std::size_t r = 0; r < ranks; ++r) {
        mine[r] = own;
        place[r] = own * int(r);
      }
      received_.reserve(own * dim(size_) * dim(sizeof(T)));
      const T* received = received_.as<T>();
      MPI_Alltoallv(part.data() + at, count.data(), start.data(), type, received_.data(), mine.data(), place.data(),
                    type, MPI_COMM_WORLD);
      T* to = sum.data() + at + start[std::size_t(rank_)];
      for (int r = 0; r < parts; ++r)
        for (int i = 0; i < own; ++i) to[i] += received[std::size_t(own) * std::size_t(r) + std::size_t(i)];
      MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, sum.data() + at, count.data(), start.data(), type,
                     MPI_COMM_WORLD);
    }
  }

  int rank_ = 0, size_ = 1;
  Buffer received_;
};

}  // namespace

std::unique_ptr<Group> join_group() {
  const Launch launched = launch();
  auto group = std::make_unique<MpiGroup>();
  if (group->size() != launched.size)
    throw Error(Blame::environment, "mpi",
                fmt::format("expected {} processes to find one another, {} did", launched.size, group->size()),
                "start them with the mpirun of the Open MPI that pith was built with");
  share_processors();
  return group;
}

void abort_group(int exit_code) {
  std::signal(SIGTERM, SIG_DFL);  // this one has said why
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();
}

}  // namespace pith

#else

namespace pith {

std::unique_ptr<Group> join_group() {
  throw Error(Blame::environment, "mpi",
              fmt::format("expected one process, got {}: this build of pith has no MPI", launch().size),
              "install libopenmpi-dev (scripts/setup --dev) and build again");
}

void abort_group(int exit_code) { std::exit(exit_code); }

}  // namespace pith
#endif
