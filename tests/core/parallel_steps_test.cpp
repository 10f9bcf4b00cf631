#include "core/parallel_steps.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"

namespace pith {
namespace {

TEST(ParallelSteps, EveryIndexOnceInWholeSteps) {
  const int before = num_threads();
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    for (const dim count : {0, 1, 16, 1001}) {
      std::vector<int> seen(std::size_t(count), 0);
      const auto fresh = [] { return dim(0); };  // how far its thread has come
      parallel_steps(count, 16, fresh, [&](dim& last, dim begin, dim end) {
        EXPECT_EQ(begin % 16, 0);
        EXPECT_GE(begin, last);
        last = end;
        EXPECT_LE(end - begin, 16);
        for (dim i = begin; i < end; ++i) seen[std::size_t(i)] += 1;
      });
      EXPECT_EQ(seen, std::vector<int>(std::size_t(count), 1)) << threads << " threads, " << count << " indices";
    }
  }
  set_num_threads(before);
}

TEST(ParallelSteps, TheErrorOfTheLowestFailingStepComesOut) {
  for (int round = 0; round < 50; ++round) try {
      parallel_steps(
          64, 1, [] { return 0; },
          [](int, dim begin, dim) {
            if (begin == 9 || begin == 40) throw input_error("test", "index {}", begin);
          });
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("index 9"), std::string::npos) << e.what();
    }
}

}  // namespace
}  // namespace pith
