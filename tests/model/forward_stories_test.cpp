// Trained small models: perplexities computed by an independent f64 implementation, and both containers.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/reference_llama.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

// Mean negative log-likelihood of the first 24 windows of BOS + 255 tokens.
double mean_nll(const Model& model, const std::vector<Token>& text) {
  Forward forward(model);
  KvCache cache(model.config(), 24, 256);
  std::vector<std::vector<Token>> windows;
  std::vector<Chunk> chunks;
  for (std::size_t w = 0; w < 24; ++w) {
    windows.push_back({model.tokenizer().bos()});
    windows.back().insert(windows.back().end(), text.begin() + std::ptrdiff_t(w * 255),
                          text.begin() + std::ptrdiff_t((w + 1) * 255));
  }
  for (std::size_t w = 0; w < 24; ++w) chunks.push_back({dim(w), windows[w], 0});
  const dim vocab = model.config().vocab;
  double sum = 0;
  forward.run(cache, chunks, [&](dim first, const float* logits, dim rows) {
    for (dim r = 0; r < rows; ++r) {
      const dim t = (first + r) % 256;
      if (t == 255) continue;
      const Token next = windows[std::size_t((first + r) / 256)][std::size_t(t + 1)];
      double total = 0;
      for (dim v = 0; v < vocab; ++v) total += std::exp(double(logits[r * vocab + v]));
      sum += std::log(total) - double(logits[r * vocab + next]);
    }
  });
  return sum / (24 * 255);
}

struct Trained {
  const char* name;
  const char* path;
  double nll;
};

class ForwardTrained : public testing::TestWithParam<Trained> {};

TEST_P(ForwardTrained, PerplexityIsKnown) {
  PITH_NEED_DATA(path, GetParam().path);
  PITH_NEED_DATA(text_path, "text/tinystories_30k.txt");
  const Model model = Model::open(path);
  const auto text = model.tokenizer().encode(test::read_file(text_path), false, false);
  ASSERT_GE(text.size(), 24u * 255u);
  EXPECT_NEAR(mean_nll(model, text), GetParam().nll, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, ForwardTrained,
                         testing::Values(Trained{"stories_gguf", "models/stories260K/stories260K-f32.gguf", 2.03196},
                                         Trained{"stories_hf", "models/stories260K/hf", 2.03196},
                                         Trained{"babyllama_gguf", "models/babyllama_tok105/babyllama_tok105-f32.gguf",
                                                 1.15278},
                                         Trained{"babyllama_hf", "models/babyllama_tok105/hf", 1.15278}),
                         [](const auto& parameter) { return parameter.param.name; });

std::vector<float> all_logits(const Model& model, std::span<const Token> tokens) {
  Forward forward(model);
  KvCache cache(model.config(), 1, dim(tokens.size()));
  std::vector<float> out;
  const Chunk chunk = {0, tokens, 0};
  forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
    out.insert(out.end(), logits, logits + rows * model.config().vocab);
  });
  return out;
}

TEST(ForwardStories, BothContainersGiveTheReferencesLogits) {
  PITH_NEED_DATA(gguf, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(hf, "models/stories260K/hf");
  const std::vector<Token> tokens = {1, 403, 407, 261, 378, 396, 300, 265, 282, 429, 268, 361, 410, 352};
  const Model a = Model::open(gguf), b = Model::open(hf);
  const auto from_gguf = all_logits(a, tokens), from_hf = all_logits(b, tokens);
  const auto expected = test::ReferenceLlama(Network::of(a)).logits(tokens);
  ASSERT_EQ(from_gguf.size(), tokens.size() * 512);
  ASSERT_EQ(from_hf.size(), tokens.size() * 512);
  for (std::size_t i = 0; i < from_gguf.size(); ++i) {
    ASSERT_NEAR(from_gguf[i], from_hf[i], 1e-4) << i;
    ASSERT_NEAR(from_gguf[i], expected[i / 512][i % 512], 1e-4) << i;
  }
}

}  // namespace
}  // namespace pith
