// Every choice of Config against the double-precision reference, on small random networks.
#include <gtest/gtest.h>

#include <functional>

#include "core/parallel.h"
#include "tests/model/reference_llama.h"
#include "tests/model/tiny_network.h"

namespace pith {
namespace {

struct Choice {
  const char* name;
  std::function<void(Config&, test::TinyChoices&)> set;
};

Config small_config() {
  Config c;
  c.vocab = 50;
  c.hidden = 40;  // not a multiple of 16: tails are met everywhere
  c.layers = 3;
  c.heads = 6;
  c.kv_heads = 2;
  c.head_dim = 12;
  c.ffn = 56;
  c.context = 64;
  c.rope.dims = 12;
  c.rope.original_context = 16;
  return c;
}

const Choice kChoices[] = {
    {"plain", [](Config&, test::TinyChoices&) {}},
    {"neighbours", [](Config& c, test::TinyChoices&) { c.rope.pairing = RopePairing::neighbours; }},
    {"layer_norm",
     [](Config& c, test::TinyChoices& t) {
       c.norm = NormKind::layer;
       t.norm_biases = t.biases = true;
     }},
    {"plus_one", [](Config& c, test::TinyChoices& t) { c.norm_plus_one = true, t.qk_norm = true; }},
    {"gelu_tanh", [](Config& c, test::TinyChoices&) { c.activation = Activation::gelu_tanh; }},
    {"gelu_erf_plain", [](Config& c, test::TinyChoices&) { c.activation = Activation::gelu_erf, c.gated = false; }},
    {"relu", [](Config& c, test::TinyChoices&) { c.activation = Activation::relu, c.gated = false; }},
    {"parallel", [](Config& c, test::TinyChoices&) { c.parallel_block = true; }},
    {"parallel_shared_norm", [](Config& c, test::TinyChoices& t) { c.parallel_block = true, t.shared_norm = true; }},
    {"partial_rope", [](Config& c, test::TinyChoices&) { c.rope.dims = 6; }},
    {"linear_rope", [](Config& c, test::TinyChoices&) { c.rope.scaling = RopeScaling::linear, c.rope.factor = 3; }},
    {"llama3_rope",
     [](Config& c, test::TinyChoices&) { c.rope.scaling = RopeScaling::llama3, c.rope.factor = 8, c.rope.base = 50; }},
    {"yarn_rope",
     [](Config& c, test::TinyChoices&) {
       c.rope.scaling = RopeScaling::yarn, c.rope.factor = 4, c.rope.attn_factor = 1.139;
       c.rope.base = 100, c.rope.beta_fast = 2, c.rope.beta_slow = 0.5;
     }},
    {"longrope",
     [](Config& c, test::TinyChoices&) {
       c.rope.scaling = RopeScaling::longrope, c.rope.attn_factor = 1.2, c.rope.original_context = 4096;
       c.rope.freq_factors = {1, 1.1f, 1.5f, 2, 4, 9};
     }},
    {"positions", [](Config& c, test::TinyChoices& t) { c.rope.on = false, t.positions = 64; }},
    {"qk_norm", [](Config&, test::TinyChoices& t) { t.qk_norm = true; }},
    {"soft_caps", [](Config& c, test::TinyChoices&) { c.attn_softcap = 0.8, c.logit_softcap = 1.5; }},
    {"scales",
     [](Config& c, test::TinyChoices&) {
       c.attn_scale = 0.6, c.embed_scale = 3, c.residual_scale = 0.4, c.logit_scale = 0.25;
     }},
    {"window", [](Config& c, test::TinyChoices&) { c.sliding_window = 5; }},
    {"window_pattern",
     [](Config& c, test::TinyChoices&) {
       c.sliding_window = 7, c.sliding_pattern = 2, c.rope_base_sliding = 30;
       c.rope.scaling = RopeScaling::linear, c.rope.factor = 2;
     }},
    {"post_norms", [](Config&, test::TinyChoices& t) { t.post_norms = true; }},
    {"only_post_norms", [](Config&, test::TinyChoices& t) { t.post_norms = true, t.pre_norms = false; }},
    {"fused", [](Config&, test::TinyChoices& t) { t.fused_qkv = t.fused_gate_up = t.biases = true; }},
    {"untied_biases", [](Config&, test::TinyChoices& t) { t.tied = false, t.biases = true; }},
};

class ForwardChoices : public testing::TestWithParam<Choice> {};

std::vector<Token> some_tokens(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Token> tokens;
  for (dim i = 0; i < n; ++i) tokens.push_back(Token(rng.below(50)));
  return tokens;
}

// f32 against f64 over three layers: errors of about 1e-6 of the logits' size.
constexpr double kTolerance = 2e-5;

TEST_P(ForwardChoices, PrefillAndDecodeAgreeWithReference) {
  Config config = small_config();
  test::TinyChoices choices;
  GetParam().set(config, choices);
  const test::TinyNetwork tiny(config, choices, 7);
  const std::vector<Token> tokens = some_tokens(37, 3);
  const auto expected = test::ReferenceLlama(tiny.network()).logits(tokens);

  Forward forward(tiny.network());
  KvCache cache(config, 2, 40);
  std::vector<float> got;
  const Chunk chunk = {1, tokens, 0};
  forward.run(cache, {&chunk, 1}, [&](dim first, const float* logits, dim rows) {
    EXPECT_EQ(first * config.vocab, dim(got.size()));
    got.insert(got.end(), logits, logits + rows * config.vocab);
  });
  ASSERT_EQ(got.size(), 37u * 50u);
  for (std::size_t t = 0; t < 37; ++t)
    for (std::size_t v = 0; v < 50; ++v)
      ASSERT_NEAR(got[t * 50 + v], expected[t][v], kTolerance * 10) << "position " << t << ", token " << v;

  cache.truncate(1, 20);  // and the same positions again, one by one
  for (std::size_t t = 20; t < 37; ++t) {
    const auto step = forward.next(cache, std::span(tokens).subspan(t, 1), 1);
    for (std::size_t v = 0; v < 50; ++v) ASSERT_NEAR(step[v], expected[t][v], kTolerance * 10) << "position " << t;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ForwardChoices, testing::ValuesIn(kChoices),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace pith
