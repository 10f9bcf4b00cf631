#include "eval/speed.h"

#include <gtest/gtest.h>

#include "core/parallel.h"
#include "eval/machine_peaks.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

TEST(Times, AreTheMedianAndTheNearestRankOf95Percent) {
  EXPECT_DOUBLE_EQ(times_of({3, 1, 2}).median, 2);
  EXPECT_DOUBLE_EQ(times_of({4, 1, 3, 2}).median, 2.5);
  std::vector<double> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(i);
  EXPECT_DOUBLE_EQ(times_of(hundred).p95, 95);
  EXPECT_DOUBLE_EQ(times_of({7}).p95, 7);
}

TEST(Peaks, AreOfTheOrderOfAProcessor) {
  const MachinePeaks p = measure_peaks();
  EXPECT_EQ(p.threads, num_threads());
  EXPECT_GT(p.f32, 1e8);
  EXPECT_LT(p.f32, 1e12 * p.threads);
  EXPECT_GT(p.read, 1e8);
  EXPECT_LT(p.read, 1e13);
}

TEST(Speed, CountsWhatATokenCosts) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  SpeedOptions o;
  o.prompt = 16;
  o.generate = 4;
  o.depths = {0, 32};
  o.batches = {1, 2};
  o.runs = 2;
  const ModelSpeed s = measure_speed(model.string(), o, no_progress());
  ASSERT_EQ(s.cases.size(), 4u);
  // 5 blocks of q 64 x 64, k and v 32 x 64, o 64 x 64, gate and up 172 x 64, down 64 x 172; a head of 512 x 64.
  const double block = 2.0 * (64 * 64 * 2 + 2 * 32 * 64 + 3 * 172 * 64), head = 2.0 * 512 * 64;
  const double past = 4.0 * 5 * 8 * 8;  // layers, heads, head_dim: a product with a key and one with a value
  EXPECT_DOUBLE_EQ(s.cases[0].decode_ops, 5 * block + head + past * 2);
  EXPECT_DOUBLE_EQ(s.cases[2].decode_ops, 5 * block + head + past * 34);
  EXPECT_DOUBLE_EQ(s.cases[2].prefill_ops, 5 * block + head / 16 + past * (32 + 7.5));
  // f32: 4 bytes a weight, and 5 * 2 * 4 * 8 * 4 bytes of keys and values for each of the tokens before.
  EXPECT_DOUBLE_EQ(s.cases[0].decode_bytes, 2 * (5 * block + head) + 1280 * 2);
  for (const SpeedCase& c : s.cases) {
    EXPECT_GT(c.prefill, 0);
    EXPECT_GT(c.decode, 0);
    EXPECT_GE(c.per_token.p95, c.per_token.median);
  }
  EXPECT_EQ(s.cases[1].batch, 2);
  EXPECT_EQ(s.stored_bytes, dim(4 * (5 * block + head) / 2));  // f32, copied
}

}  // namespace
}  // namespace pith
