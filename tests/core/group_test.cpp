#include "core/group.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

namespace pith {
namespace {

TEST(Group, OneProcessAddsItsOwnParts) {
  std::vector<float> sum = {1, 2};
  one_process().add_in_order(std::vector<float>{0.5f, -2}, sum, 1);
  EXPECT_EQ(sum, (std::vector<float>{1.5f, 0}));
  one_process().add_in_order(std::vector<float>{9, 9}, sum, 0);
  EXPECT_EQ(sum, (std::vector<float>{1.5f, 0}));
  EXPECT_EQ(sum_in_order(std::vector<double>{1e100, 1, -1e100}, one_process()), 0);  // 1 is lost beside 1e100
}

TEST(Group, KnowsWhatTheLauncherSays) {
  const Launch here = launch();
  if (here.size > 1) GTEST_SKIP() << "under mpirun";
  setenv("PMI_SIZE", "4", 1);
  setenv("PMI_RANK", "2", 1);
  EXPECT_EQ(launch().size, 4);
  EXPECT_EQ(launch().rank, 2);
  setenv("OMPI_COMM_WORLD_SIZE", "3", 1);
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  EXPECT_EQ(launch().size, 3);
  EXPECT_EQ(launch().rank, 1);
  for (const char* name : {"PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}) unsetenv(name);
  EXPECT_EQ(launch().size, 1);
}

// Run by tests/cli/processes_test.cpp, as three processes.
TEST(Group, ThreeProcessesAddInTheOrderOfRanks) {
  if (launch().size != 3) GTEST_SKIP() << "not one of three processes";
  const std::unique_ptr<Group> group = join_group();
  const auto rank = std::size_t(group->rank());
  // In this order, and in no other that ends with the same rank's: 0 + 1e8 + 1 - 1e8 = 0, as 1e8 + 1 is 1e8.
  const float parts[] = {1e8f, 1, -1e8f};
  const std::vector<float> part((std::size_t(1) << 20) + 5, parts[rank]);  // more than go at once
  std::vector<float> sum(part.size(), 0);
  group->add_in_order(part, sum, 3);
  EXPECT_EQ(sum, std::vector<float>(part.size(), 0));
  group->add_in_order(part, sum, 2);
  EXPECT_EQ(sum, std::vector<float>(part.size(), 1e8f));
  std::vector<double> one(2, 0);
  group->add_in_order(std::vector<double>{double(rank), 1}, one, 3);
  EXPECT_EQ(one, (std::vector<double>{3, 3}));
  std::vector<double> known(3, 0);
  known[rank] = rank == 0 ? 1e100 : rank == 1 ? 1 : -1e100;
  EXPECT_EQ(sum_in_order(known, *group), 0);
  std::byte bytes[] = {std::byte(rank), std::byte(rank + 7)};
  group->broadcast(bytes, 1);
  EXPECT_EQ(bytes[0], std::byte(1));
  EXPECT_EQ(bytes[1], std::byte(8));
  group->barrier();
}

}  // namespace
}  // namespace pith
