// The forward pass over encoded caches.
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/model/kv_runs.h"
#include "tests/model/tiny_network.h"

namespace pith {
namespace {

using namespace test;

Config config_of(dim head_dim = 16) {
  Config c;
  c.vocab = kTinyVocab;
  c.hidden = 64;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = head_dim;
  c.ffn = 96;
  c.context = 4096;
  c.rope.dims = head_dim;
  return c;
}

std::vector<std::string> specs() {
  return {"f16",
          "int8",
          "int4:group=32",
          "int4:bits=2,first=4",
          "rotated-int4:seed=3",
          "kivi:residual=32",
          "kivi:bits=2,residual=64,first=1",
          "kvquant:group=32,bits=3"};
}

struct Case {
  const char* name;
  Config config;
  test::TinyChoices choices = {};
};

std::vector<Case> cases() {
  std::vector<Case> all = {{"gqa", config_of()},   {"wide_heads", config_of(64)}, {"odd_heads", config_of(40)},
                           {"fused", config_of()}, {"window", config_of()},       {"normed", config_of()}};
  all[3].choices.fused_qkv = true;
  all[3].config.rope.pairing = RopePairing::neighbours;
  all[4].config.sliding_window = 23;
  all[4].config.sliding_pattern = 2;
  all[4].config.rope_base_sliding = 500;
  all[5].choices.qk_norm = true;
  all[5].config.kv_heads = 4;
  return all;
}

class ForwardKv : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, ForwardKv, testing::ValuesIn(cases()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_P(ForwardKv, LosslessStorageIsTheSameModel) {
  const test::TinyNetwork tiny(GetParam().config, GetParam().choices, 1);
  const dim head_dim = tiny.config().head_dim;
  Forward forward(tiny.network());
  const auto tokens = some_tokens(160);
  KvCache plain(tiny.config(), 1, 160);
  const auto expected = run(forward, plain, tokens, {160});
  KvPlan rotated = lossless(head_dim), before_rope = lossless(head_dim);
  rotated.rotated = true;
  rotated.rotation_seed = 9;
  before_rope.keys_before_rope = true;
  for (const KvPlan& plan : {lossless(head_dim), rotated, before_rope})
    for (const std::vector<dim>& lengths : {std::vector<dim>{160}, {1}, {50, 1, 3}}) {
      KvCache cache(tiny.config(), 1, 160, plan);
      EXPECT_LT(largest_difference(run(forward, cache, tokens, lengths), expected), 1e-4);
    }
}

TEST_P(ForwardKv, DoesNotDependOnHowRunsAreCut) {
  const test::TinyNetwork tiny(GetParam().config, GetParam().choices, 2);
  Forward forward(tiny.network());
  const auto tokens = some_tokens(170);
  KvCache plain(tiny.config(), 1, 170);
  const auto exact = run(forward, plain, tokens, {170});
  for (const std::string& spec : specs()) {
    KvCache whole(tiny.config(), 1, 170, KvSpec(spec)), single(tiny.config(), 1, 200, KvSpec(spec)),
        pieces(tiny.config(), 1, 171, KvSpec(spec));
    const auto expected = run(forward, whole, tokens, {170});
    const double loss = root_mean_square(expected, exact);
    expect_same(run(forward, single, tokens, {1}), expected, loss, spec);
    expect_same(run(forward, pieces, tokens, {40, 1, 33, 2}), expected, loss, spec);
  }
}

TEST_P(ForwardKv, LosesWhatTheBitsSay) {
  const test::TinyNetwork tiny(GetParam().config, GetParam().choices, 3);
  Forward forward(tiny.network());
  const auto tokens = some_tokens(150);
  KvCache plain(tiny.config(), 1, 150);
  const auto exact = run(forward, plain, tokens, {150});
  const auto loss = [&](const char* spec) {
    KvCache cache(tiny.config(), 1, 150, KvSpec(spec));
    return root_mean_square(run(forward, cache, tokens, {150}), exact);
  };
  const double half = loss("f16"), eight = loss("int8"), four = loss("int4:group=32"),
               two = loss("int4:bits=2,group=32");
  EXPECT_GT(half, 0);
  EXPECT_LT(half, eight);
  EXPECT_LT(eight * 4, four);
  EXPECT_LT(four * 2, two);
  EXPECT_LT(loss("kivi:bits=2,residual=128"), loss("kivi:bits=2,residual=32"));
  // Nothing has left the newest tokens: what is stored is float16.
  EXPECT_LT(loss("kivi:bits=2,residual=256"), 2 * half);
}

TEST(ForwardKvRun, SameBitsForAnyNumberOfThreads) {
  const test::TinyNetwork tiny(config_of(), {}, 4);
  const auto tokens = some_tokens(140);
  const int before = num_threads();
  for (const std::string& spec : specs()) {
    std::vector<float> first;
    for (const int threads : {1, 2, 7}) {
      set_num_threads(threads);
      Forward forward(tiny.network());
      KvCache cache(tiny.config(), 1, 140, KvSpec(spec));
      const auto out = run(forward, cache, tokens, {137, 1});
      if (threads == 1) first = out;
      EXPECT_EQ(std::memcmp(out.data(), first.data(), out.size() * sizeof(float)), 0) << spec << ' ' << threads;
    }
    set_num_threads(before);
  }
}

TEST(ForwardKvRun, SequencesDoNotMix) {
  const test::TinyNetwork tiny(config_of(), {}, 5);
  Forward forward(tiny.network());
  const auto a = some_tokens(90, 1), b = some_tokens(75, 2);
  for (const std::string& spec : specs()) {
    KvCache together(tiny.config(), 2, 100, KvSpec(spec)), alone(tiny.config(), 2, 100, KvSpec(spec));
    std::vector<float> both;
    // A sequence twice in one call, with the other between.
    const std::vector<Chunk> chunks = {{1, std::span(b).first(40), 0}, {0, a, 0}, {1, std::span(b).subspan(40), 0}};
    forward.run(together, chunks, [&](dim, const float* logits, dim rows) {
      both.insert(both.end(), logits, logits + rows * kTinyVocab);
    });
    const auto from_b = run(forward, alone, b, {75}, 1), from_a = run(forward, alone, a, {90}, 0);
    std::vector<float> expected(from_b.begin(), from_b.begin() + 40 * kTinyVocab);
    expected.insert(expected.end(), from_a.begin(), from_a.end());
    expected.insert(expected.end(), from_b.begin() + 40 * kTinyVocab, from_b.end());
    EXPECT_LT(root_mean_square(both, expected), 0.02) << spec;  // other sequences' logits differ by whole units
  }
}

TEST(ForwardKvRun, OnlyWantedLogitsOfFusedAndPlainProjections) {
  for (const bool fused : {false, true}) {
    test::TinyChoices choices;
    choices.fused_qkv = fused;
    const test::TinyNetwork tiny(config_of(), choices, 6);
    Forward forward(tiny.network());
    const auto tokens = some_tokens(100);
    for (const std::string& spec : specs()) {
      KvCache all(tiny.config(), 1, 120, KvSpec(spec)), last(tiny.config(), 1, 120, KvSpec(spec));
      const auto expected = run(forward, all, tokens, {100});
      forward.run(last, std::vector<Chunk>{{0, std::span(tokens).first(60), 60}},
                  [](dim, const float*, dim) { FAIL(); });
      const auto next = forward.next(last, std::span(tokens).subspan(60));
      EXPECT_LT(largest_difference({next.begin(), next.end()}, {expected.end() - kTinyVocab, expected.end()}), 1e-4)
          << spec;
    }
  }
}

TEST(ForwardKvRun, TruncatingIsNeverHavingGoneThere) {
  const test::TinyNetwork tiny(config_of(), {}, 7);
  Forward forward(tiny.network());
  const auto a = some_tokens(150, 1), b = some_tokens(60, 2);
  struct Compared {
    std::vector<float> gone, fresh, exact;
  };
  const auto compare = [&](const std::string& spec, const std::vector<dim>& lengths) {
    KvCache cache(tiny.config(), 1, 220, KvSpec(spec)), fresh(tiny.config(), 1, 220, KvSpec(spec)),
        plain(tiny.config(), 1, 220);
    const auto kept = std::span(a).first(std::size_t(lengths.back()));
    run(forward, cache, a, {64, 9});
    for (const dim n : lengths) cache.truncate(0, n);
    run(forward, fresh, kept, {150});
    run(forward, plain, kept, {150});
    return Compared{run(forward, cache, b, {60}), run(forward, fresh, b, {60}), run(forward, plain, b, {60})};
  };
  for (const char* spec : {"f16", "int8", "int4:group=32", "int4:bits=2,first=4", "rotated-int4"})
    for (const dim n : {149, 96, 70, 3}) {
      const Compared c = compare(spec, {n});
      expect_same(c.gone, c.fresh, root_mean_square(c.fresh, c.exact), spec);
    }
  for (const char* spec : {"kivi:residual=32", "kivi:bits=2,residual=64", "kvquant:group=32"}) {
    const Compared none = compare(spec, {0});
    expect_same(none.gone, none.fresh, root_mean_square(none.fresh, none.exact), spec);
    // Tokens that had left the newest ones are what their codes say: no worse than the codec is at its worst.
    for (const std::vector<dim>& lengths : {std::vector<dim>{149}, {100}, {140, 130, 70}, {120, 40}}) {
      const Compared c = compare(spec, lengths);
      EXPECT_LT(root_mean_square(c.gone, c.exact), 3 * root_mean_square(c.fresh, c.exact)) << spec << lengths.back();
    }
  }
  // As long as nothing has left them, they are as they were.
  const Compared all = compare("kivi:bits=2,residual=256", {70});
  expect_same(all.gone, all.fresh, root_mean_square(all.fresh, all.exact), "residual");
}

TEST(ForwardKvRun, SmallCapacitiesWork) {
  const test::TinyNetwork tiny(config_of(), {}, 8);
  Forward forward(tiny.network());
  const auto tokens = some_tokens(33);
  for (const std::string& spec : specs())
    for (const dim capacity : {1, 5, 31, 33}) {
      KvCache cache(tiny.config(), 1, capacity, KvSpec(spec)), wide(tiny.config(), 1, 300, KvSpec(spec));
      const auto some = std::span(tokens).first(std::size_t(capacity));
      EXPECT_LT(largest_difference(run(forward, cache, some, {2}), run(forward, wide, some, {2})), 1e-5) << spec;
      EXPECT_THROW(run(forward, cache, std::span(tokens).first(1), {1}), Error);
    }
}

// The worst case of a codec's memory: head_dim 16, 2 heads, 2 layers.
TEST(ForwardKvRun, BytesAreTheFormulas) {
  const Config c = config_of();
  EXPECT_EQ(KvCache::bytes(c, 1, 100), 2 * 2 * 2 * 100 * 16 * 4);
  EXPECT_EQ(KvCache::bytes(c, 3, 100, KvSpec("int8")), 3 * 2 * 2 * 2 * 100 * 18);
  EXPECT_EQ(KvCache::bytes(c, 1, 100, KvSpec("int4")), 2 * 2 * 2 * 100 * 12);
  // Keys: 6 blocks of 16 scales, 16 minima and 32 rows of 4 bytes; values: 200 of 4 + 4 bytes; both: 64 tokens of
  // float16.
  EXPECT_EQ(KvCache::bytes(c, 1, 200, KvSpec("kivi:bits=2,residual=64")),
            2 * 2 * ((6 * 192 + 64 * 32) + (200 * 8 + 64 * 32)));
  EXPECT_EQ(KvCache(c, 1, 200, KvSpec("kivi:bits=2,residual=64")).size_bytes(), 27392);
  EXPECT_THROW(KvCache(c, 1, dim(1) << 40, KvSpec("int8")), Error);
  EXPECT_THROW(KvCache::bytes(c, dim(1) << 50, 1 << 20, KvSpec("kivi")), Error);
}

TEST(ForwardKvRun, FaultsLeaveACacheThatCanBeUsedAgain) {
  test::TinyNetwork tiny(config_of(), {}, 9);
  const auto tokens = some_tokens(70);
  for (const std::string& spec : specs()) {
    Forward forward(tiny.network());
    KvCache cache(tiny.config(), 1, 80, KvSpec(spec));
    const auto expected = run(forward, cache, tokens, {70});
    float& weight = tiny.mutable_values(tiny.network().blocks[0].v)[5];
    const float before = weight;
    weight = NAN;
    cache.truncate(0, 0);
    EXPECT_THROW(run(forward, cache, tokens, {70}), Error) << spec;
    weight = before;
    cache.truncate(0, 0);
    EXPECT_LT(largest_difference(run(forward, cache, tokens, {70}), expected), 1e-4) << spec;
  }
}

}  // namespace
}  // namespace pith
