#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "eval/fidelity/greedy_divergence.h"
#include "eval/fidelity/layer_fidelity.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using Tokens = std::vector<Token>;

constexpr const char* kStories = "models/stories260K/stories260K-f32.gguf";
constexpr const char* kStoriesF16 = "models/stories260K/stories260K-f16.gguf";
constexpr const char* kText = "text/tinystories_30k.txt";

TEST(LayerFidelity, RatiosInDecibel) {
  EXPECT_NEAR(sqnr_db(0.1), 20, 1e-12);
  EXPECT_NEAR(sqnr_db(0.5), 6.0206, 1e-4);
  EXPECT_TRUE(std::isinf(sqnr_db(0)));
}

// Expected: transformers in double precision, with hooks on its decoder layers.
TEST(LayerFidelity, HalfPrecisionLosesWhatTransformersSays) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(half, kStoriesF16);
  const Model base = Model::open(path), model = Model::open(half);
  const std::vector<Tokens> texts = {
      base.tokenizer().encode("Once upon a time there was a little girl named Lily."),
      base.tokenizer().encode("Tom and his dog went to the park to play with a big red ball")};
  EXPECT_EQ(texts[0].size(), 15u);  // with BOS
  EXPECT_EQ(texts[1].size(), 23u);
  const auto layers = layer_fidelity(model, base, texts);
  ASSERT_EQ(layers.size(), 5u);
  const double error[] = {2.5765e-4, 3.1441e-4, 3.4866e-4, 3.6140e-4, 5.2299e-4};
  const double alone[] = {2.2963e-4, 2.1058e-4, 1.9314e-4, 2.0473e-4, 2.8759e-4};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(layers[i].error, error[i], 0.01 * error[i]) << i;
    EXPECT_NEAR(layers[i].block_error, alone[i], 0.01 * alone[i]) << i;
    EXPECT_NEAR(layers[i].cosine, 1, 2e-7) << i;
    EXPECT_LT(layers[i].cosine, 1) << i;
  }
}

TEST(LayerFidelity, AModelIsNoDistanceFromItself) {
  PITH_NEED_DATA(path, kStories);
  const Model model = Model::open(path);
  for (const LayerFidelity& l : layer_fidelity(model, model, std::vector<Tokens>{{1, 403, 407, 261}})) {
    EXPECT_EQ(l.error, 0);
    EXPECT_EQ(l.block_error, 0);
    EXPECT_EQ(l.cosine, 1);
  }
}

TEST(LayerFidelity, OtherBlocksAreRefused) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(other, "models/babyllama_tok105/babyllama_tok105-f32.gguf");
  EXPECT_THROW((void)layer_fidelity(Model::open(other), Model::open(path), std::vector<Tokens>{{1, 2}}), Error);
}

TEST(GreedyDivergence, CountsUpToTheFirstDifference) {
  const Tokens ends = {2};
  EXPECT_EQ(agreed_tokens(Tokens{5, 6, 7, 8}, Tokens{5, 6, 9, 8}, ends, 4), 2);
  EXPECT_EQ(agreed_tokens(Tokens{4, 6, 7, 8}, Tokens{5, 6, 7, 8}, ends, 4), 0);
  EXPECT_EQ(agreed_tokens(Tokens{5, 6, 7, 8}, Tokens{5, 6, 7, 8}, ends, 4), 4);
  EXPECT_EQ(agreed_tokens(Tokens{5, 2, 7, 8}, Tokens{5, 2, 9, 8}, ends, 4), 4);  // both end there
  EXPECT_EQ(agreed_tokens(Tokens{5, 2, 7, 8}, Tokens{5, 6, 7, 8}, ends, 4), 1);  // only one ends
}

TEST(GreedyDivergence, MedianAndMeanOverPrompts) {
  const GreedyDivergence d = summarize({3, 10, 0, 10}, 10);
  EXPECT_EQ(d.identical, 2);
  EXPECT_EQ(d.median, 6.5);
  EXPECT_EQ(d.mean, 5.75);
  EXPECT_EQ(d.agreed, (std::vector<dim>{3, 10, 0, 10}));
}

TEST(GreedyDivergence, PiecesLieAllOverTheText) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(text, kText);
  const Model model = Model::open(path);
  const std::string words = test::read_file(text).substr(0, 3000);
  const Tokens all = model.tokenizer().encode(words, false, false);
  const auto pieces = pieces_of_text(model.tokenizer(), words, 3, 11);
  ASSERT_EQ(pieces.size(), 3u);
  for (const Tokens& piece : pieces) {
    EXPECT_EQ(piece.size(), 11u);
    EXPECT_EQ(piece[0], 1);  // BOS
  }
  EXPECT_TRUE(std::equal(pieces[0].begin() + 1, pieces[0].end(), all.begin()));
  EXPECT_TRUE(std::equal(pieces[2].begin() + 1, pieces[2].end(), all.end() - 10));
  EXPECT_EQ(pieces_of_text(model.tokenizer(), "Once upon a time", 9, 3).size(), 2u);  // of four tokens
  EXPECT_THROW((void)pieces_of_text(model.tokenizer(), "Once", 1, 50), Error);
}

TEST(GreedyDivergence, AModelSaysWhatItself) {
  PITH_NEED_DATA(path, kStories);
  PITH_NEED_DATA(half, kStoriesF16);
  PITH_NEED_DATA(text, kText);
  const Model model = Model::open(path);
  const auto prompts = pieces_of_text(model.tokenizer(), test::read_file(text), 5, 16);
  const GreedyDivergence d = greedy_divergence(model, model, prompts, 24);
  EXPECT_EQ(d.agreed, std::vector<dim>(5, 24));
  EXPECT_EQ(d.identical, 5);
  // Keys and values in two bits change what it says.
  const GreedyDivergence rough = greedy_divergence(model, model, prompts, 24, {.kv = KvSpec("int4:bits=2")});
  EXPECT_LT(rough.identical, 5);
  EXPECT_THROW((void)greedy_divergence(model, model, prompts, 512), Error);  // trained for 512 tokens
}

}  // namespace
}  // namespace pith
