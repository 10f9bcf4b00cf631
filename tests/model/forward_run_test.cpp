// How runs are cut and repeated: chunks, caches, threads, observers, faults.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "tests/model/tiny_network.h"

namespace pith {
namespace {

Config config_of(dim hidden, dim layers) {
  Config c;
  c.vocab = 96;
  c.hidden = hidden;
  c.layers = layers;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 16;
  c.ffn = 3 * hidden;
  c.context = 4096;
  c.rope.dims = 16;
  return c;
}

std::vector<Token> some_tokens(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Token> tokens;
  for (dim i = 0; i < n; ++i) tokens.push_back(Token(rng.below(96)));
  return tokens;
}

std::vector<float> run(const Network& net, KvCache& cache, const std::vector<Chunk>& chunks,
                       LinearObserver* observer = nullptr) {
  Forward forward(net);
  std::vector<float> out;
  forward.run(
      cache, chunks,
      [&](dim first, const float* logits, dim rows) {
        EXPECT_EQ(first * 96, dim(out.size()));
        out.insert(out.end(), logits, logits + rows * 96);
      },
      observer);
  return out;
}

class Threads {
 public:
  explicit Threads(int n) : before_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }

 private:
  int before_;
};

TEST(ForwardRun, SameBitsForAnyNumberOfThreads) {
  const test::TinyNetwork tiny(config_of(64, 2), {}, 1);
  const auto a = some_tokens(150, 1), b = some_tokens(61, 2);
  const auto logits = [&](int threads) {
    const Threads set(threads);
    KvCache cache(tiny.config(), 2, 200);
    std::vector<float> out = run(tiny.network(), cache, {{0, a, 10}, {1, b, 0}});
    const auto one = run(tiny.network(), cache, {{1, std::span(a).first(1), 0}});  // a decode step
    out.insert(out.end(), one.begin(), one.end());
    return out;
  };
  const auto one = logits(1), two = logits(2), seven = logits(7);
  ASSERT_EQ(one.size(), std::size_t((140 + 61 + 1) * 96));
  EXPECT_EQ(std::memcmp(one.data(), two.data(), one.size() * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(one.data(), seven.data(), one.size() * sizeof(float)), 0);
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4) << i;  // logits are of size 1 ... 10
}

TEST(ForwardRun, ChunksTogetherEqualEachAlone) {
  const test::TinyNetwork tiny(config_of(64, 3), {}, 2);
  const auto a = some_tokens(70, 1), b = some_tokens(33, 2);
  KvCache together(tiny.config(), 2, 80), alone(tiny.config(), 2, 80);
  const auto both =
      run(tiny.network(), together, {{1, b, 30}, {0, std::span(a).first(50), 50}, {0, std::span(a).last(20), 5}});
  auto expected = run(tiny.network(), alone, {{1, b, 30}});
  const auto second = run(tiny.network(), alone, {{0, a, 55}});
  expected.insert(expected.end(), second.begin(), second.end());
  ASSERT_EQ(both.size(), std::size_t((3 + 15) * 96));
  expect_near(both, expected);
  EXPECT_EQ(together.length(0), 70);
  EXPECT_EQ(together.length(1), 33);
}

TEST(ForwardRun, LongRunsAreCutIntoPieces) {
  Config config = config_of(16, 1);
  config.ffn = 16384;  // wide activations: pieces of about 2000 rows
  const test::TinyNetwork tiny(config, {}, 3);
  const auto tokens = some_tokens(2500, 4);
  KvCache whole(tiny.config(), 1, 2500), parts(tiny.config(), 1, 2500);
  const auto last = run(tiny.network(), whole, {{0, tokens, 2490}});
  run(tiny.network(), parts, {{0, std::span(tokens).first(700), 700}});
  run(tiny.network(), parts, {{0, std::span(tokens).subspan(700, 800), 800}});
  expect_near(last, run(tiny.network(), parts, {{0, std::span(tokens).last(1000), 990}}));
}

struct Recorder : LinearObserver {
  struct Seen {
    Role role;
    dim layer, rows, cols;
  };
  std::vector<Seen> seen;
  bool finite = true;
  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override {
    seen.push_back({role, layer, rows, cols});
    for (dim i = 0; i < rows * cols; ++i) finite = finite && std::isfinite(x[i]);
  }
};

TEST(ForwardRun, ObserverSeesAllRowsOfEveryLinear) {
  const test::TinyNetwork tiny(config_of(64, 2), {}, 5);
  const auto tokens = some_tokens(40, 1);
  KvCache cache(tiny.config(), 1, 64), plain(tiny.config(), 1, 64);
  Recorder recorder;
  const auto observed = run(tiny.network(), cache, {{0, tokens, 38}}, &recorder);
  expect_near(observed, run(tiny.network(), plain, {{0, tokens, 38}}));
  ASSERT_EQ(recorder.seen.size(), 2u * 7u + 1u);
  for (const auto& s : recorder.seen) {
    if (s.role == Role::lm_head) continue;
    EXPECT_EQ(s.rows, 40);
    EXPECT_EQ(s.cols, s.role == Role::ffn_down ? 192 : 64);
  }
  EXPECT_EQ(recorder.seen.back().role, Role::lm_head);
  EXPECT_EQ(recorder.seen.back().rows, 2);
  EXPECT_TRUE(recorder.finite);
}

TEST(ForwardRun, NamesTheLayerOfValuesThatAreNotFinite) {
  test::TinyNetwork tiny(config_of(64, 4), {}, 6);
  tiny.mutable_values(tiny.network().blocks[2].down)[5] = std::numeric_limits<float>::quiet_NaN();
  const auto tokens = some_tokens(9, 1);
  KvCache cache(tiny.config(), 1, 16);
  try {
    run(tiny.network(), cache, {{0, tokens, 0}});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("before layer 3"), std::string::npos) << e.what();
  }
  EXPECT_EQ(cache.length(0), 0);
}

TEST(ForwardRun, RefusesWhatDoesNotFit) {
  const test::TinyNetwork tiny(config_of(64, 1), {}, 7);
  const auto tokens = some_tokens(9, 1);
  KvCache cache(tiny.config(), 1, 8);
  EXPECT_THROW(run(tiny.network(), cache, {{0, tokens, 0}}), Error);
  EXPECT_THROW(run(tiny.network(), cache, {{1, std::span(tokens).first(2), 0}}), Error);
  EXPECT_THROW(run(tiny.network(), cache, {{0, std::vector<Token>{1, 96}, 0}}), Error);
  EXPECT_THROW(run(tiny.network(), cache, {{0, std::vector<Token>{-1}, 0}}), Error);
  EXPECT_EQ(cache.length(0), 0);
  Config moe = tiny.config();
  moe.experts = 4;
  Network net = tiny.network();
  net.config = &moe;
  EXPECT_THROW(Forward{net}, Error);
  Config wide = tiny.config();
  wide.ffn = 100;
  net.config = &wide;
  EXPECT_THROW(Forward{net}, Error);
  EXPECT_THROW(KvCache(tiny.config(), 1, dim(1) << 40), Error);
}

}  // namespace
}  // namespace pith
