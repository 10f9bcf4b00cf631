#include "core/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "core/buffer.h"
#include "core/error.h"
#include "core/rng.h"

namespace pith {
namespace {

TEST(Parallel, EveryIndexOnceForAnyThreadCount) {
  const int before = num_threads();
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    for (const dim count : {0, 1, 6, 1000}) {
      std::vector<int> seen(std::size_t(count), 0);
      parallel_for(count, [&](dim i) { seen[std::size_t(i)] += 1; });
      EXPECT_EQ(seen, std::vector<int>(std::size_t(count), 1)) << threads << " threads, " << count << " indices";
    }
  }
  set_num_threads(before);
}

TEST(Parallel, AnErrorInABodyComesOut) {
  EXPECT_THROW(parallel_for(100,
                            [](dim i) {
                              if (i == 63) throw input_error("test", "index {}", i);
                            }),
               Error);
}

TEST(Parallel, ManyLoopsAndLoopsInLoops) {
  const int before = num_threads();
  set_num_threads(4);
  std::vector<dim> sums(8, 0);
  for (int round = 0; round < 2000; ++round)
    parallel_for(8, [&](dim i) { parallel_for(3, [&](dim j) { sums[std::size_t(i)] += j; }); });
  EXPECT_EQ(sums, std::vector<dim>(8, 6000));  // 2000 * (0 + 1 + 2)
  set_num_threads(before);
}

TEST(Parallel, AChildProcessHasThreadsOfItsOwn) {
  const int before = num_threads();
  set_num_threads(3);
  std::vector<int> seen(100, 0);
  parallel_for(100, [&](dim i) { seen[std::size_t(i)] = 1; });
  const pid_t child = fork();
  if (child == 0) {
    int sum = 0;
    std::vector<int> again(100, 0);
    parallel_for(100, [&](dim i) { again[std::size_t(i)] = 1; });
    for (const int v : again) sum += v;
    _exit(sum == 100 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  set_num_threads(before);
}

TEST(Buffer, IsZeroedAlignedAndGrows) {
  for (const dim size : {dim(1), dim(4096), dim(5) << 20}) {
    Buffer b(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % 64, 0u);
    EXPECT_EQ(b.as<char>()[0], 0);
    EXPECT_EQ(b.as<char>()[size - 1], 0);
  }
  Buffer b(16);
  b.reserve(8);
  EXPECT_EQ(b.size_bytes(), 16);
  b.reserve(dim(3) << 20);
  EXPECT_EQ(b.size_bytes(), dim(3) << 20);
}

// SplitMix64 of seed 1234567, the published first outputs.
TEST(Rng, IsSplitMix64) {
  Rng rng(1234567);
  EXPECT_EQ(rng.next(), 6457827717110365317ull);
  EXPECT_EQ(rng.next(), 3203168211198807973ull);
  EXPECT_EQ(rng.next(), 9817491932198370423ull);
}

TEST(Rng, NormalHasUnitVariance) {
  Rng rng(1);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 1e5, 0.0, 0.015);  // 4.7 standard errors
  EXPECT_NEAR(squares / 1e5, 1.0, 0.02);
}

}  // namespace
}  // namespace pith
