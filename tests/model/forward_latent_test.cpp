// A cache of what keys and values are made from, against one of keys and values themselves.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/model/kv_runs.h"
#include "tests/model/tiny_network.h"

namespace pith {
namespace {

using namespace test;

Config config_of() {
  Config c;
  c.vocab = kTinyVocab;
  c.hidden = 64;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 4;
  c.head_dim = 16;
  c.ffn = 96;
  c.context = 4096;
  c.rope.dims = 16;
  c.kv_latent = {24, 40};
  return c;
}

struct Case {
  const char* name;
  Config config = config_of();
  TinyChoices choices = {};
};

std::vector<Case> cases() {
  std::vector<Case> all = {{"plain"}, {"biased"}, {"queries_too"}, {"window"}, {"normed"}, {"positions"}};
  all[1].choices.biases = true;
  all[2].choices.q_latent = true;
  all[2].config.kv_heads = 2;
  all[3].config.sliding_window = 23;
  all[3].config.sliding_pattern = 2;
  all[3].config.rope_base_sliding = 500;
  all[4].choices.qk_norm = true;
  all[4].config.rope.pairing = RopePairing::neighbours;
  all[5].config.rope.on = false;
  all[5].choices.positions = 700;
  return all;
}

KvPlan lossless_latent() {
  KvPlan plan = lossless(16);
  plan.latent = [](dim width) { return lossless(width).keys; };
  plan.keys_before_rope = true;
  return plan;
}

class ForwardLatent : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, ForwardLatent, testing::ValuesIn(cases()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_P(ForwardLatent, IsTheSameModel) {
  const TinyNetwork tiny(GetParam().config, GetParam().choices, 1);
  Forward forward(tiny.network());
  const auto tokens = some_tokens(600);  // more than are multiplied out at once
  KvCache plain(tiny.config(), 1, 600);
  const auto expected = run(forward, plain, tokens, {600});
  for (const std::vector<dim>& lengths : {std::vector<dim>{600}, {1}, {50, 1, 300}}) {
    KvCache cache(tiny.config(), 1, 600, lossless_latent());
    EXPECT_LT(largest_difference(run(forward, cache, tokens, lengths), expected), 1e-4);
  }
}

TEST_P(ForwardLatent, LosesWhatTheBitsSay) {
  const TinyNetwork tiny(GetParam().config, GetParam().choices, 2);
  Forward forward(tiny.network());
  const auto tokens = some_tokens(150);
  KvCache plain(tiny.config(), 1, 150);
  const auto exact = run(forward, plain, tokens, {150});
  const auto loss = [&](const char* spec, const std::vector<dim>& lengths) {
    KvCache cache(tiny.config(), 1, 150, KvSpec(spec));
    return root_mean_square(run(forward, cache, tokens, lengths), exact);
  };
  const double half = loss("latent", {150}), eight = loss("latent:bits=8", {150}), four = loss("latent:bits=4", {150});
  EXPECT_GT(half, 0);
  EXPECT_LT(half, eight);
  EXPECT_LT(eight * 4, four);
  EXPECT_NEAR(loss("latent:bits=4", {40, 1, 33, 2}), four, 0.15 * four);
}

TEST(ForwardLatentCache, SequencesDoNotMixAndAreCutAndCopied) {
  const TinyNetwork tiny(config_of(), {}, 3);
  Forward forward(tiny.network());
  const auto first = some_tokens(30, 1), second = some_tokens(45, 2);
  const KvSpec spec("latent:bits=8");
  KvCache alone(tiny.config(), 1, 80, spec), together(tiny.config(), 3, 80, spec);
  const auto expected = run(forward, alone, second, {45});
  run(forward, together, first, {30}, 2);
  run(forward, together, std::span(second).first(20), {20}, 0);
  together.copy(0, 1);
  run(forward, together, first, {30}, 1);
  together.truncate(1, 20);
  const auto rest = run(forward, together, std::span(second).subspan(20), {25}, 1);
  const std::vector<float> tail(expected.end() - 25 * kTinyVocab, expected.end());
  EXPECT_LT(largest_difference(rest, tail), 1e-3);
}

TEST(ForwardLatentCache, SameBitsForAnyNumberOfThreads) {
  const TinyNetwork tiny(config_of(), {}, 4);
  const auto tokens = some_tokens(140);
  const int before = num_threads();
  std::vector<float> first;
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    Forward forward(tiny.network());
    KvCache cache(tiny.config(), 1, 140, KvSpec("latent"));
    const auto out = run(forward, cache, tokens, {137, 1});
    if (threads == 1) first = out;
    EXPECT_EQ(std::memcmp(out.data(), first.data(), out.size() * sizeof(float)), 0) << threads;
  }
  set_num_threads(before);
}

TEST(ForwardLatentCache, Bytes) {
  Config c = config_of();
  EXPECT_EQ(KvCache::bytes(c, 3, 100, KvSpec("latent")), 3 * 100 * (24 + 40) * 2);
  // 24: one group; 40: 32 and 8; each with a scale and a minimum in float16
  EXPECT_EQ(KvCache::bytes(c, 1, 100, KvSpec("latent:bits=8")), 100 * (4 + 24 + 4 + 32 + 4 + 8));
  EXPECT_EQ(KvCache::bytes(c, 1, 100, KvSpec("latent:bits=4")), 100 * (4 + 12 + 4 + 16 + 4 + 4));
  EXPECT_DOUBLE_EQ(KvCache::bits_per_value(c, KvSpec("latent")), 4.0);  // 64 * 16 bits for 2 * 2 * 64 values
  EXPECT_DOUBLE_EQ(KvCache::bits_per_value(c, KvSpec("int8")), 9.0);
  c.kv_latent.clear();
  EXPECT_THROW(KvCache(c, 1, 100, KvSpec("latent")), Error);
  EXPECT_THROW(KvCache::bytes(c, 1, 100, KvSpec("latent")), Error);
}

}  // namespace
}  // namespace pith
