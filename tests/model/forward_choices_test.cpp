// Every choice of Config against the double-precision reference, on small random networks.
#include <gtest/gtest.h>

#include "core/parallel.h"
#include "tests/model/reference_llama.h"
#include "tests/model/tiny_choices.h"

namespace pith {
namespace {

class ForwardChoices : public testing::TestWithParam<test::Choice> {};

std::vector<Token> some_tokens(dim n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Token> tokens;
  for (dim i = 0; i < n; ++i) tokens.push_back(Token(rng.below(50)));
  return tokens;
}

// f32 against f64 over three layers: errors of about 1e-6 of the logits' size.
constexpr double kTolerance = 2e-5;

TEST_P(ForwardChoices, PrefillAndDecodeAgreeWithReference) {
  Config config = test::small_config();
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

INSTANTIATE_TEST_SUITE_P(All, ForwardChoices, testing::ValuesIn(test::kChoices),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace pith
