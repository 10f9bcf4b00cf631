// A model that was cut gives what the whole one gives with zeros in place of what was taken out.
#include "model/surgery.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "formats/format.h"
#include "model/forward.h"
#include "model/model_impl.h"
#include "tests/model/family_harness.h"
#include "tests/model/same_logits.h"
#include "tests/shared_data.h"

namespace pith::test {
namespace {

constexpr double kSums = 2e-5;  // of other lengths, in f32

// zero(tensor, row, column): whether that element becomes 0.
template <class Zero>
Model masked(const Model& model, const Zero& zero) {
  return Model::edited(model, [zero](Model::Impl& m) {
    for (ModelTensor& t : m.tensors) {
      if (t.role == Role::other) continue;
      Buffer out(t.weight.rows * t.weight.cols * dim(sizeof(float)));
      for (dim r = 0; r < t.weight.rows; ++r) {
        float* row = out.as<float>() + r * t.weight.cols;
        decode_row(t, r, row);
        for (dim c = 0; c < t.weight.cols; ++c)
          if (zero(t, r, c)) row[c] = 0;
      }
      t.weight.format = &f32_format();
      t.weight.data = m.scratch.keep(std::move(out));
    }
  });
}

class SurgeryFamily : public testing::TestWithParam<const char*> {};

TEST_P(SurgeryFamily, NothingTakenChangesNothing) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  EXPECT_EQ(logits_of(model), logits_of(cut_model(model, whole(model.config()))));
}

TEST_P(SurgeryFamily, NeuronsThatAreOutAreZeros) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  if (!cannot_cut_neurons(model).empty()) GTEST_SKIP() << cannot_cut_neurons(model);
  Surgery s = whole(model.config());
  for (BlockCut& b : s.blocks) std::erase_if(b.neurons, [](dim n) { return n % 3 == 1; });
  const Model cut = cut_model(model, s);
  EXPECT_EQ(cut.config().ffn, dim(s.blocks[0].neurons.size()));
  expect_same(
      logits_of(cut),
      logits_of(masked(model, [](const ModelTensor& t, dim,
                                 dim c) { return t.role == Role::ffn_down && t.part == Part::weight && c % 3 == 1; })),
      GetParam(), kSums);
}

TEST_P(SurgeryFamily, HeadsThatAreOutAreZeros) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  if (!cannot_cut_heads(model).empty()) GTEST_SKIP() << cannot_cut_heads(model);
  const Config& c = model.config();
  if (c.kv_heads < 2) GTEST_SKIP() << "one kv head";
  const dim group = c.heads / c.kv_heads, width = c.head_dim;
  Surgery s = whole(c);
  for (BlockCut& b : s.blocks) {
    std::erase(b.kv_heads, 0);
    std::erase_if(b.heads, [&](dim h) { return h < group; });
  }
  const Model cut = cut_model(model, s);
  EXPECT_EQ(cut.config().kv_heads, c.kv_heads - 1);
  EXPECT_EQ(cut.config().head_dim, width);
  expect_same(logits_of(cut),
              logits_of(masked(model,
                               [&](const ModelTensor& t, dim, dim col) {
                                 return t.role == Role::attn_o && t.part == Part::weight && col < group * width;
                               })),
              GetParam(), kSums);
}

TEST_P(SurgeryFamily, ABlockThatIsOutAddsNothing) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  Surgery s = whole(model.config());
  s.layers.erase(s.layers.begin());
  s.blocks.pop_back();
  if (s.layers.empty() || !cannot_keep_layers(model, s.layers).empty()) GTEST_SKIP() << "no block can go";
  expect_same(logits_of(cut_model(model, s)),
              logits_of(masked(model,
                               [](const ModelTensor& t, dim, dim) {
                                 return t.layer == 0 && (t.role == Role::attn_o || t.role == Role::ffn_down ||
                                                         t.role == Role::expert_down || t.role == Role::shared_down);
                               })),
              GetParam(), kSums);
}

TEST_P(SurgeryFamily, ChannelsThatAreOutAreZeros) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  if (!cannot_cut_hidden(model).empty()) GTEST_SKIP() << cannot_cut_hidden(model);
  Surgery s = whole(model.config());
  const auto out = [](dim channel) { return channel % 4 == 2; };
  std::erase_if(s.hidden, out);
  expect_same(logits_of(cut_model(model, s)),
              logits_of(masked(model,
                               [&](const ModelTensor& t, dim r, dim c) {
                                 if (t.role == Role::embed) return out(c);
                                 const bool writes = t.role == Role::attn_o || t.role == Role::ffn_down ||
                                                     t.role == Role::expert_down || t.role == Role::shared_down;
                                 return writes && out(t.part == Part::bias ? c : r);
                               })),
              GetParam(), model.find(Role::attn_q_norm, 0) ? 1e-3 : kSums);  // whose eps is another, too
}

// Everything that may stand in another order does: the same function, its matrices' columns moved.
TEST_P(SurgeryFamily, AnotherOrderChangesNothing) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors(GetParam()), temp.path / "in"));
  const Config& c = model.config();
  Surgery s = whole(c);
  std::reverse(s.hidden.begin(), s.hidden.end());
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    BlockCut& b = s.blocks[l];
    if (cannot_cut_neurons(model).empty())
      std::rotate(b.neurons.begin(), b.neurons.begin() + 3 + std::ptrdiff_t(l), b.neurons.end());
    for (dim v = 0; v < c.kv_heads * c.head_dim; ++v)  // each head turned by another number of places
      b.values.push_back(v / c.head_dim * c.head_dim + (v + v / c.head_dim + 1) % c.head_dim);
    for (dim n = c.shared_ffn; n-- > 0;) b.shared_neurons.push_back(n);
    for (dim e = 0; e < c.experts; ++e) {
      b.expert_neurons.emplace_back();
      for (dim n = c.expert_ffn; n-- > 0;) b.expert_neurons.back().push_back((n + e) % c.expert_ffn);
    }
  }
  const Model moved = cut_model(model, s);
  expect_same(logits_of(moved), logits_of(model), GetParam(), kSums);
  std::vector<float> before(static_cast<std::size_t>(c.hidden)), after(before.size());
  decode_row(*model.find(Role::embed, -1), 1, before.data());
  decode_row(*moved.find(Role::embed, -1), 1, after.data());
  std::reverse(before.begin(), before.end());
  EXPECT_EQ(before, after);
  const std::size_t width = std::size_t(c.heads * c.head_dim);
  before.resize(width);
  after.resize(width);
  decode_row(*model.find(Role::attn_o, 0), c.hidden - 1, before.data());
  decode_row(*moved.find(Role::attn_o, 0), 0, after.data());
  EXPECT_EQ(before[1], after[0]);  // the first head's second dimension stands first
}

INSTANTIATE_TEST_SUITE_P(Families, SurgeryFamily,
                         testing::Values("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "granite", "cohere",
                                         "olmo2", "stablelm", "gpt2", "gptneox", "falcon", "mixtral", "qwen2moe"));

TEST(Surgery, BiasesAreAddedToWhatTheBranchesGive) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors("llama"), temp.path / "in"));
  ASSERT_TRUE(takes_branch_biases(model));
  const dim hidden = model.config().hidden;
  Surgery s = whole(model.config());
  s.blocks[0].attn_bias.assign(std::size_t(hidden), 0.25f);
  s.blocks[0].ffn_bias.assign(std::size_t(hidden), -0.5f);
  const Model cut = cut_model(model, s);
  EXPECT_EQ(cut.blocks()[0].o.bias[3], 0.25f);
  EXPECT_EQ(cut.blocks()[0].down.bias[3], -0.5f);
  EXPECT_EQ(cut.blocks()[0].q.bias[0], 0.0f);  // where one projection has a bias, all have
  EXPECT_NE(logits_of(model), logits_of(cut));
}

TEST(Surgery, EditsFollowOneAnother) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors("llama"), temp.path / "in"));
  Surgery neurons = whole(model.config());
  for (BlockCut& b : neurons.blocks) b.neurons.resize(b.neurons.size() / 2);
  const Model once = cut_model(model, neurons);
  Surgery layers = whole(once.config());
  layers.layers.erase(layers.layers.begin());
  layers.blocks.pop_back();
  const Model twice = cut_model(once, layers);
  EXPECT_EQ(twice.config().ffn, model.config().ffn / 2);
  EXPECT_EQ(twice.config().layers, model.config().layers - 1);
}

TEST(Surgery, WhatCannotBeTakenOutIsSaid) {
  const TempFolder temp;
  const Model model = Model::open(write_family(family_vectors("mixtral"), temp.path / "in"));
  Surgery s = whole(model.config());
  for (BlockCut& b : s.blocks) b.neurons.pop_back();
  try {
    (void)cut_model(model, s);
    ADD_FAILURE() << "was not refused";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("mixtures of experts"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace pith::test
