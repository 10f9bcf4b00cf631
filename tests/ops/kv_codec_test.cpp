// Specs, sizes and the numbers that blocks hold.
#include "ops/kv/kv_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "ops/kv/affine_codes.h"
#include "ops/kv/hadamard.h"

namespace pith {
namespace {

std::vector<float> round_trip(const KvSide& side, const std::vector<float>& x) {
  std::vector<std::byte> block(std::size_t(side.block_bytes), std::byte{0x5a});
  std::vector<float> out(x.size(), NAN), scratch(std::size_t(2 * side.head_dim));
  EXPECT_EQ(dim(x.size()), side.tokens * side.head_dim);
  side.encode(side, x.data(), block.data());
  side.decode(side, block.data(), out.data(), scratch.data());
  return out;
}

TEST(KvSpec, ReadsWhatIsThere) {
  EXPECT_EQ(KvSpec().codec().name, "f32");
  EXPECT_FALSE(KvSpec().plan(64).encoded);
  EXPECT_EQ(KvSpec("int4:group=32").plan(64).keys.group, 32);
  const KvPlan kivi = KvSpec("kivi:bits=2,residual=64").plan(64);
  EXPECT_EQ(kivi.keys.tokens, 32);
  EXPECT_EQ(kivi.keys.newest, 64);
  EXPECT_EQ(kivi.keys.bits, 2);
  EXPECT_EQ(kivi.values.tokens, 1);
  EXPECT_EQ(KvSpec("kivi:bits=2,residual=64").text(), "kivi:bits=2,residual=64");
}

std::string fault_of(const std::string& text) {
  try {
    KvSpec{text};
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

TEST(KvSpec, RefusesTheRestAndSaysWhatThereIs) {
  for (const char* bad : {"", ":", "int5", "INT8", "int4:", "int4:group", "int4:group=33", "int4:group=", "int8:bits=4",
                          "int4:group=32,", "kivi:bits=5", "kivi:group=64,residual=32", "rotated-int4:seed=-1"})
    EXPECT_NE(fault_of(bad), "") << bad;
  EXPECT_NE(fault_of("q8").find("f32, f16, int8"), std::string::npos) << fault_of("q8");
  EXPECT_NE(fault_of("int4:size=3").find("group"), std::string::npos) << fault_of("int4:size=3");
  EXPECT_NE(fault_of("kivi:group=128,residual=64").find("multiple"), std::string::npos);
}

TEST(KvCodec, BlocksTakeTheStatedBytes) {
  struct Row {
    const char* spec;
    dim head_dim, key_tokens, key_bytes, value_bytes;
    double bits;
  };
  for (const Row& row :
       {Row{"f16", 64, 1, 128, 128, 16}, Row{"int8", 64, 1, 66, 66, 8.25}, Row{"int4", 64, 1, 36, 36, 4.5},
        Row{"int4:group=32", 64, 1, 40, 40, 5}, Row{"int4:bits=3,group=128", 128, 1, 52, 52, 3.25},
        Row{"rotated-int4", 128, 1, 72, 72, 4.5}, Row{"kivi", 64, 32, 1280, 40, 5},
        Row{"kivi:bits=2", 128, 32, 1536, 48, 3}, Row{"kivi:bits=3,group=64,residual=64", 64, 64, 1792, 28, 3.5},
        // 80 channels in groups of 32, 32 and 16
        Row{"int4:group=32", 80, 1, 52, 52, 5.2}}) {
    const KvPlan plan = KvSpec(row.spec).plan(row.head_dim);
    EXPECT_EQ(plan.keys.tokens, row.key_tokens) << row.spec;
    EXPECT_EQ(plan.keys.block_bytes, row.key_bytes) << row.spec;
    EXPECT_EQ(plan.values.block_bytes, row.value_bytes) << row.spec;
    EXPECT_DOUBLE_EQ(plan.bits_per_value(), row.bits) << row.spec;
  }
}

TEST(KvCodec, WhatLiesOnTheGridComesBack) {
  std::vector<float> ramp(16);
  for (int i = 0; i < 16; ++i) ramp[std::size_t(i)] = 0.5f * float(i) - 3;
  EXPECT_EQ(round_trip(token_groups(16, 4, 32), ramp), ramp);
  const std::vector<float> quarters = {0, 1, 2, 3, 8, 7, 6, 5, -1, -4, -2, -3};  // groups of four
  EXPECT_EQ(round_trip(token_groups(12, 2, 4), quarters), quarters);
  const std::vector<float> eight = {127, -127, 1, 0, -64, 5, 2};
  EXPECT_EQ(round_trip(KvSpec("int8").plan(7).keys, eight), eight);
  std::vector<float> channels(8 * 3);  // channel c of token t: c + t 2^c
  for (int t = 0; t < 8; ++t)
    for (int c = 0; c < 3; ++c) channels[std::size_t(3 * t + c)] = float(c + (t << c));
  EXPECT_EQ(round_trip(channel_groups(3, 3, 8), channels), channels);
}

TEST(KvCodec, NearestCodes) {
  // Scale 1: from 0 to 3.
  EXPECT_EQ(round_trip(token_groups(6, 2, 32), {0, 3, 0.4f, 0.6f, 2.6f, 1.4f}), (std::vector<float>{0, 3, 0, 1, 3, 1}));
}

TEST(KvCodec, ZeroConstantAndHugeRowsStayFinite) {
  for (const KvCodec* codec : all_kv_codecs()) {
    const KvPlan plan = KvSpec(codec->name).plan(64);
    if (!plan.encoded) continue;
    for (const KvSide& side : {plan.keys, plan.values})
      for (const float value : {0.0f, 1.0f, -0.25f, 1e-30f, 3e38f, -1e9f}) {
        std::vector<float> x(std::size_t(side.tokens * side.head_dim), value);
        for (const float v : round_trip(side, x)) {
          ASSERT_TRUE(std::isfinite(v)) << codec->name << ' ' << value;
          ASSERT_NEAR(v, std::clamp(value, -65504.0f, 65504.0f), std::abs(value) * 0.01f + 1e-7f) << codec->name;
        }
      }
  }
}

// 128 channels, 256 tokens, N(0, 1) but for one channel that is ten times as large.
std::vector<float> keys_with_an_outlier_channel() {
  Rng rng(7);
  std::vector<float> x(128 * 256);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = float(rng.normal()) * (i % 128 == 41 ? 10 : 1);
  return x;
}

double relative_error(const KvSide& side, const std::vector<float>& x) {
  double error = 0, energy = 0;
  const std::size_t step = std::size_t(side.tokens * side.head_dim);
  for (std::size_t at = 0; at < x.size(); at += step) {
    const std::vector<float> block(x.begin() + dim(at), x.begin() + dim(at + step)), back = round_trip(side, block);
    for (std::size_t i = 0; i < step; ++i) {
      error += std::pow(double(block[i] - back[i]), 2);
      energy += std::pow(double(block[i]), 2);
    }
  }
  return error / energy;
}

// The reason for KIVI: a channel of outliers widens every token's range, but only its own channel's. By channel the
// error is that of normal vectors of 32: the squared range, about 17.6, over 12 * 15^2, but none at the two ends.
TEST(KvCodec, OutlierChannelsHurtTokensNotChannels) {
  const auto x = keys_with_an_outlier_channel();
  EXPECT_NEAR(relative_error(KvSpec("kivi:bits=4").plan(128).keys, x), 0.0059, 0.0003);
  EXPECT_GT(relative_error(KvSpec("int4:group=128").plan(128).keys, x), 0.018);
}

TEST(HeadRotation, KeepsProductsAndHasAnInverse) {
  Rng rng(3);
  for (const dim head_dim : {dim(64), dim(96), dim(80), dim(7), dim(1)})
    for (const std::uint64_t seed : {0, 5}) {
      std::vector<float> q(std::size_t(2 * head_dim)), k(q.size());
      for (float& v : q) v = float(rng.normal());
      for (float& v : k) v = float(rng.normal());
      const auto before = q;
      const auto product = [&](dim head) {
        double sum = 0;
        for (dim i = head * head_dim; i < (head + 1) * head_dim; ++i)
          sum += double(q[std::size_t(i)]) * double(k[std::size_t(i)]);
        return sum;
      };
      const double first = product(0), second = product(1);
      const HeadRotation rotation(head_dim, seed);
      rotation.forward(q.data(), 2);
      rotation.forward(k.data(), 2);
      EXPECT_NEAR(product(0), first, 2e-5);
      EXPECT_NEAR(product(1), second, 2e-5);
      rotation.backward(q.data(), 2);
      for (std::size_t i = 0; i < q.size(); ++i) ASSERT_NEAR(q[i], before[i], 2e-6);
    }
}

TEST(HeadRotation, SpreadsASpike) {
  std::vector<float> x(64, 0.0f);
  x[17] = 8;
  HeadRotation(64, 0).forward(x.data(), 1);
  for (const float v : x) EXPECT_FLOAT_EQ(std::abs(v), 1.0f);
}

}  // namespace
}  // namespace pith
