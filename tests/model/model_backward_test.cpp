// Gradients of the cross-entropy of a whole network against central differences of the double-precision reference.
#include "model/backward/model_backward.h"

#include <gtest/gtest.h>

#include "tests/model/reference_llama.h"
#include "tests/model/tiny_choices.h"

namespace pith {
namespace {

const std::vector<std::vector<Token>> kText = {{3, 14, 15, 9, 26, 5, 35, 8, 9, 7}, {31, 41}, {2, 7, 18, 28, 18, 28, 4}};

double loss(const test::TinyNetwork& tiny) {
  double sum = 0;
  dim count = 0;
  for (const auto& s : kText) {
    const auto logits = test::ReferenceLlama(tiny.network()).logits(s);
    for (std::size_t t = 0; t + 1 < s.size(); ++t, ++count) {
      double total = 0;
      for (const double z : logits[t]) total += std::exp(z);
      sum += std::log(total) - logits[t][std::size_t(s[t + 1])];
    }
  }
  return sum / double(count);
}

class ModelGradientsOf : public testing::TestWithParam<test::Choice> {};

TEST_P(ModelGradientsOf, EqualCentralDifferences) {
  Config config = test::small_config();
  test::TinyChoices choices;
  GetParam().set(config, choices);
  test::TinyNetwork tiny(config, choices, 13);
  const Network& net = tiny.network();
  const auto size = [&](dim rows) { return std::size_t(rows * config.hidden); };
  std::vector<float> embed(size(config.vocab)), lm_head(embed.size()), pos_embed(size(64)), norm(size(1)),
      o(std::size_t(config.hidden * config.heads * config.head_dim)), ffn_norm(size(1));
  OuterGradients outer;
  outer.embed = embed.data();
  outer.lm_head = choices.tied ? embed.data() : lm_head.data();
  outer.pos_embed = pos_embed.data();
  outer.output_norm.weight = norm.data();
  std::vector<dim> order;
  ModelBackward backward(net, 12, 3);
  const double got = backward.run(
      kText, outer,
      [&](dim layer) {
        BlockGradients g;
        if (layer == 0) g.o.weight = o.data();
        if (layer == 2) g.ffn_norm.weight = ffn_norm.data();
        return g;
      },
      [&](dim layer) { order.push_back(layer); });
  EXPECT_NEAR(got, loss(tiny), 1e-5);
  EXPECT_EQ(order, (std::vector<dim>{2, 1, 0}));

  Rng rng(21);
  const auto check = [&](float* values, const std::vector<float>& gradient, const char* what, dim first, dim count) {
    if (!values) return;
    for (int k = 0; k < 8; ++k) {
      const auto i = std::size_t(first + rng.below(count));
      const float before = values[i];
      values[i] = before + 0x1p-14f;
      const double up = loss(tiny), high = double(values[i]);
      values[i] = before - 0x1p-14f;
      const double down = loss(tiny), low = double(values[i]);
      values[i] = before;
      // f32 through three blocks
      EXPECT_NEAR(gradient[i], (up - down) / (high - low), 1e-5 + 1e-3 * std::fabs(double(gradient[i])))
          << what << ' ' << i;
    }
  };
  check(tiny.mutable_values(net.embed), embed, "embed", 9 * config.hidden, config.hidden);
  check(tiny.mutable_values(net.embed), embed, "embed", 0, dim(embed.size()));
  if (!choices.tied) check(tiny.mutable_values(net.lm_head), lm_head, "lm_head", 0, dim(lm_head.size()));
  if (choices.positions > 0) check(tiny.mutable_values(net.pos_embed), pos_embed, "pos_embed", 0, 10 * config.hidden);
  check(tiny.mutable_vector(net.output_norm.weight), norm, "output_norm", 0, config.hidden);
  check(tiny.mutable_values(net.blocks[0].o), o, "o", 0, dim(o.size()));
  if (net.blocks[2].ffn_norm.weight)
    check(tiny.mutable_vector(net.blocks[2].ffn_norm.weight), ffn_norm, "ffn_norm", 0, config.hidden);
}

INSTANTIATE_TEST_SUITE_P(All, ModelGradientsOf, testing::ValuesIn(test::kChoices),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace pith
