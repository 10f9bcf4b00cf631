#include "formats/format.h"
#include "model/model.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

std::vector<float> values_of(const ModelTensor& t) {
  std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
  const dim bytes = row_bytes(*t.weight.format, t.weight.cols);
  for (dim r = 0; r < t.weight.rows; ++r)
    t.weight.format->decode(*t.weight.format, t.weight.data + r * bytes, t.weight.cols, out.data() + r * t.weight.cols);
  return out;
}

void expect_stories_config(const Config& c) {
  EXPECT_EQ(c.arch, "llama");
  EXPECT_EQ(c.vocab, 512);
  EXPECT_EQ(c.hidden, 64);
  EXPECT_EQ(c.layers, 5);
  EXPECT_EQ(c.heads, 8);
  EXPECT_EQ(c.kv_heads, 4);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.ffn, 172);
  EXPECT_EQ(c.context, 512);
  EXPECT_EQ(c.norm, NormKind::rms);
  EXPECT_EQ(c.norm_eps, 1e-5);
  EXPECT_EQ(c.activation, Activation::silu);
  EXPECT_TRUE(c.gated);
  EXPECT_TRUE(c.rope.on);
  EXPECT_EQ(c.rope.dims, 8);
  EXPECT_EQ(c.rope.base, 10000);
  EXPECT_EQ(c.rope.scaling, RopeScaling::none);
  EXPECT_TRUE(c.rope.freq_factors.empty());
  EXPECT_EQ(c.sliding_window, 0);
  EXPECT_TRUE(c.tied_embeddings);
}

TEST(ModelOpen, FolderAndGgufOfStoriesHaveTheSameConfig) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  PITH_NEED_DATA(file, "models/stories260K/stories260K-f32.gguf");
  const Model hf = Model::open(folder), gguf = Model::open(file);
  expect_stories_config(hf.config());
  expect_stories_config(gguf.config());
  EXPECT_EQ(hf.config().rope.pairing, RopePairing::halves);
  EXPECT_EQ(gguf.config().rope.pairing, RopePairing::neighbours);
  EXPECT_FALSE(hf.is_gguf());
  EXPECT_TRUE(gguf.is_gguf());
  EXPECT_EQ(hf.file_bytes(), 1044992);
  EXPECT_EQ(gguf.file_bytes(), 1054464);
}

TEST(ModelOpen, TensorsComeInOrderWithTheirShapes) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  const Model m = Model::open(folder);
  struct Row {
    Role role;
    dim rows, cols;
    bool vector;
  };
  const std::vector<Row> block = {
      {Role::attn_norm, 1, 64, true},   {Role::attn_q, 64, 64, false},  {Role::attn_k, 32, 64, false},
      {Role::attn_v, 32, 64, false},    {Role::attn_o, 64, 64, false},  {Role::ffn_norm, 1, 64, true},
      {Role::ffn_gate, 172, 64, false}, {Role::ffn_up, 172, 64, false}, {Role::ffn_down, 64, 172, false},
  };
  ASSERT_EQ(m.tensors().size(), 2 + 5 * block.size());
  EXPECT_EQ(m.tensors().front().role, Role::embed);
  EXPECT_EQ(m.tensors().back().role, Role::output_norm);
  for (std::size_t i = 0; i < 5 * block.size(); ++i) {
    const ModelTensor& t = m.tensors()[1 + i];
    const Row& expected = block[i % block.size()];
    EXPECT_EQ(t.role, expected.role) << t.name;
    EXPECT_EQ(t.layer, dim(i / block.size())) << t.name;
    EXPECT_EQ(t.weight.rows, expected.rows) << t.name;
    EXPECT_EQ(t.weight.cols, expected.cols) << t.name;
    EXPECT_EQ(t.vector, expected.vector) << t.name;
    EXPECT_EQ(t.weight.format, &f32_format()) << t.name;
  }
  const ModelTensor* q = m.find(Role::attn_q, 3);
  ASSERT_TRUE(q);
  EXPECT_EQ(q->name, "model.layers.3.self_attn.q_proj.weight");
  EXPECT_FALSE(m.find(Role::attn_q, 5));
  EXPECT_FALSE(m.find(Role::lm_head, -1));
}

TEST(ModelOpen, BlocksAreViewsOfTheTensors) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  const Model m = Model::open(folder);
  ASSERT_EQ(m.blocks().size(), 5u);
  const Block& b = m.blocks()[2];
  ASSERT_TRUE(b.k.weight);
  EXPECT_EQ(std::get<Encoded>(*b.k.weight).data, m.find(Role::attn_k, 2)->weight.data);
  EXPECT_FALSE(b.k.bias);
  EXPECT_FALSE(b.qkv.weight);
  EXPECT_FALSE(b.q_norm.weight);
  EXPECT_EQ(m.lm_head().weight, m.embed().weight);
  const auto norm = values_of(*m.find(Role::ffn_norm, 2));
  EXPECT_EQ(std::vector<float>(b.ffn_norm.weight, b.ffn_norm.weight + 64), norm);
}

TEST(ModelOpen, GgufRowsOfQueryAreInNeighbourOrder) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  PITH_NEED_DATA(file, "models/stories260K/stories260K-f32.gguf");
  const Model hf = Model::open(folder), gguf = Model::open(file);
  const auto a = values_of(*hf.find(Role::attn_q, 1)), b = values_of(*gguf.find(Role::attn_q, 1));
  const dim from[8] = {0, 4, 1, 5, 2, 6, 3, 7};
  for (dim row = 0; row < 64; ++row)
    for (dim col = 0; col < 64; ++col)
      ASSERT_EQ(b[std::size_t(row * 64 + col)], a[std::size_t((row / 8 * 8 + from[row % 8]) * 64 + col)]);
  EXPECT_EQ(values_of(*hf.find(Role::attn_v, 4)), values_of(*gguf.find(Role::attn_v, 4)));
}

TEST(ModelOpen, RandomLlamaWithHeadOfItsOwn) {
  PITH_NEED_DATA(file, "models/llama-2-tiny-random-gguf/llama-2-tiny-random.gguf");
  const Model m = Model::open(file);
  EXPECT_EQ(m.config().vocab, 32000);
  EXPECT_EQ(m.config().head_dim, 4);
  EXPECT_FALSE(m.config().tied_embeddings);
  EXPECT_NE(m.lm_head().weight, m.embed().weight);
  EXPECT_EQ(m.tensors().back().role, Role::lm_head);
  EXPECT_EQ(m.find(Role::embed, -1)->weight.format, &f16_format());
}

TEST(ModelOpen, HashIsOfTheContent) {
  PITH_NEED_DATA(f32, "models/stories260K/stories260K-f32.gguf");
  PITH_NEED_DATA(f16, "models/stories260K/stories260K-f16.gguf");
  const std::string hash = Model::open(f32).source_hash();
  EXPECT_EQ(hash.size(), 32u);
  EXPECT_EQ(Model::open(f32).source_hash(), hash);
  EXPECT_NE(Model::open(f16).source_hash(), hash);
}

}  // namespace
}  // namespace pith
