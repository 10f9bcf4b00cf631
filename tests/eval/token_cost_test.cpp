#include "eval/token_cost.h"

#include <gtest/gtest.h>

#include "formats/sparse.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

ModelTensor matrix(Role role, dim expert, dim rows, dim cols) {
  ModelTensor t;
  t.role = role;
  t.expert = expert;
  t.weight.rows = rows;
  t.weight.cols = cols;
  return t;
}

TEST(TokenCost, CountsTwoForAMultiplicationAndTheExpertsInUse) {
  Config config;
  config.layers = 3;
  config.heads = 2;
  config.head_dim = 8;
  config.experts = 4;
  config.experts_used = 1;
  std::vector<ModelTensor> tensors;
  tensors.push_back(matrix(Role::embed, -1, 100, 16));
  tensors.push_back(matrix(Role::attn_q, -1, 16, 16));
  for (dim e = 0; e < 4; ++e) tensors.push_back(matrix(Role::ffn_up, e, 32, 16));
  const TokenCost cost = token_cost(config, tensors);
  EXPECT_DOUBLE_EQ(cost.linear_ops, 2 * (16 * 16 + 32 * 16));
  EXPECT_DOUBLE_EQ(cost.kept_ops, cost.linear_ops);
  EXPECT_DOUBLE_EQ(cost.head_ops, 2 * 100 * 16);
  EXPECT_DOUBLE_EQ(cost.ops_per_past, 4 * 3 * 2 * 8);
  // Token i of a prompt has i before it: 0 + 1 + 2 + 3 of four.
  EXPECT_DOUBLE_EQ(4 * cost.prefill_ops(4, 0), 4 * cost.linear_ops + cost.head_ops + 6 * cost.ops_per_past);
}

TEST(TokenCost, WhatTheFileLeavesOutIsNotNeeded) {
  ModelTensor t = matrix(Role::attn_q, -1, 2, 8);
  std::vector<float> values(16, 0.0f);
  for (const std::size_t at : {0, 5, 9, 10}) values[at] = 1;
  t.sparse = make_bitmask(values.data(), 2, 8, f32_format());
  t.weight.format = &f32_format();
  const TokenCost cost = token_cost({}, std::span(&t, 1));
  EXPECT_DOUBLE_EQ(cost.linear_ops, 32);
  EXPECT_DOUBLE_EQ(cost.kept_ops, 8);
}

TEST(TokenCost, ATrainedModelHasNoZeros) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const ZeroCount zeros = count_zeros(Model::open(path));
  EXPECT_EQ(zeros.values, 5 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 172 * 64));
  EXPECT_LT(zeros.share(), 1e-4);
}

}  // namespace
}  // namespace pith
