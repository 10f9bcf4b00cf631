#include "report/human.h"

#include <gtest/gtest.h>

namespace pith::report {
namespace {

TEST(Human, Bytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.00 kB");
  EXPECT_EQ(human_bytes(91'234'567), "91.2 MB");
  EXPECT_EQ(human_bytes(104'499), "104 kB");
  EXPECT_EQ(human_bytes(999'600), "1.00 MB");
  EXPECT_EQ(human_bytes(9'996'000), "10.0 MB");
  EXPECT_EQ(human_bytes(16'060'522'240), "16.1 GB");
  EXPECT_EQ(human_bytes(9'223'372'036'854'775'807), "9.22 EB");
  EXPECT_EQ(human_bytes(-2500), "-2.50 kB");
}

TEST(Human, Seconds) {
  EXPECT_EQ(human_seconds(0.34), "340 ms");
  EXPECT_EQ(human_seconds(0.9999), "1.0 s");
  EXPECT_EQ(human_seconds(12.34), "12.3 s");
  EXPECT_EQ(human_seconds(59.96), "1 min 00 s");
  EXPECT_EQ(human_seconds(125), "2 min 05 s");
  EXPECT_EQ(human_seconds(3599.7), "1 h 00 min");
  EXPECT_EQ(human_seconds(3725), "1 h 02 min");
}

TEST(Human, Counts) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1,000");
  EXPECT_EQ(human_count(134'515'008), "134,515,008");
  EXPECT_EQ(human_count(-123), "-123");
  EXPECT_EQ(human_count(-1234), "-1,234");
}

TEST(Human, Parameters) {
  EXPECT_EQ(human_parameters(512), "512");
  EXPECT_EQ(human_parameters(260'032), "260.0 k");
  EXPECT_EQ(human_parameters(134'515'008), "134.5 M");
  EXPECT_EQ(human_parameters(999'960'000), "1.00 B");
  EXPECT_EQ(human_parameters(8'030'261'248), "8.03 B");
}

TEST(Human, PlusMinus) { EXPECT_EQ(plus_minus(24.499, 0.305, 2), "24.50 ± 0.30"); }

}  // namespace
}  // namespace pith::report
