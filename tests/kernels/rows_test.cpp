#include "kernels/rows.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace pith {
namespace {

TEST(Rows, ZerosAreCounted) {
  std::vector<float> x(45, 1.0f);
  EXPECT_EQ(count_zeros(x.data(), 45), 0);
  x[0] = x[7] = x[8] = x[44] = 0.0f;
  x[20] = -0.0f;
  x[21] = std::numeric_limits<float>::quiet_NaN();
  x[22] = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(count_zeros(x.data(), 45), 5);
  EXPECT_EQ(count_zeros(x.data(), 44), 4);
  EXPECT_EQ(count_zeros(x.data(), 7), 1);
  EXPECT_EQ(count_zeros(x.data(), 0), 0);
}

}  // namespace
}  // namespace pith
