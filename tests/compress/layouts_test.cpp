// Tensors that Hugging Face stores otherwise: Conv1D (in, out), and fused projections by key-value head.
#include "model/model.h"
#include "tests/compress/pipeline_support.h"
#include "tests/model/written_model.h"

namespace pith::test {

namespace {

WrittenModel gpt2() {
  WrittenModel m;
  m.config = {{"model_type", "gpt2"}, {"vocab_size", 40}, {"n_embd", 64},
              {"n_layer", 1},         {"n_head", 4},      {"n_positions", 32}};
  m.tensors.clear();
  m.tensors.push_back(f32_tensor("transformer.wte.weight", {40, 64}));
  m.tensors.push_back(f32_tensor("transformer.wpe.weight", {32, 64}));
  for (const std::string part : {"weight", "bias"}) {
    const bool matrix = part == "weight";
    const auto shape = [&](std::int64_t in, std::int64_t out) {
      return matrix ? std::vector<std::int64_t>{in, out} : std::vector<std::int64_t>{out};
    };
    m.tensors.push_back(f32_tensor("transformer.h.0.ln_1." + part, {64}));
    m.tensors.push_back(f32_tensor("transformer.h.0.ln_2." + part, {64}));
    m.tensors.push_back(f32_tensor("transformer.ln_f." + part, {64}));
    m.tensors.push_back(f32_tensor("transformer.h.0.attn.c_attn." + part, shape(64, 192)));
    m.tensors.push_back(f32_tensor("transformer.h.0.attn.c_proj." + part, shape(64, 64)));
    m.tensors.push_back(f32_tensor("transformer.h.0.mlp.c_fc." + part, shape(64, 256)));
    m.tensors.push_back(f32_tensor("transformer.h.0.mlp.c_proj." + part, shape(256, 64)));
  }
  return m;
}

WrittenModel falcon() {  // 4 heads of 16 in two groups
  WrittenModel m;
  m.config = {{"model_type", "falcon"},           {"vocab_size", 40},         {"hidden_size", 64},
              {"num_hidden_layers", 1},           {"num_attention_heads", 4}, {"num_kv_heads", 2},
              {"new_decoder_architecture", true}, {"ffn_hidden_size", 96}};
  m.tensors.clear();
  m.tensors.push_back(f32_tensor("transformer.word_embeddings.weight", {40, 64}));
  for (const std::string norm : {"transformer.h.0.ln_attn.", "transformer.h.0.ln_mlp.", "transformer.ln_f."})
    for (const std::string part : {"weight", "bias"}) m.tensors.push_back(f32_tensor(norm + part, {64}));
  m.tensors.push_back(f32_tensor("transformer.h.0.self_attention.query_key_value.weight", {128, 64}));
  m.tensors.push_back(f32_tensor("transformer.h.0.self_attention.dense.weight", {64, 64}));
  m.tensors.push_back(f32_tensor("transformer.h.0.mlp.dense_h_to_4h.weight", {96, 64}));
  m.tensors.push_back(f32_tensor("transformer.h.0.mlp.dense_4h_to_h.weight", {64, 96}));
  return m;
}

std::vector<float> values_of(const WrittenTensor& t) {
  std::vector<float> out(t.bytes.size() / 4);
  std::memcpy(out.data(), t.bytes.data(), t.bytes.size());
  return out;
}

}  // namespace

TEST(Layouts, Conv1DIsTurnedForGguf) {
  const TempFolder temp;
  WrittenModel m = gpt2();
  run(m.write(temp.path / "in"), recipe_for("f32"), temp.path / "out.gguf");
  const GgufFile file(temp.path / "out.gguf");
  ASSERT_NE(file.find("blk.0.ffn_down.weight"), nullptr);
  EXPECT_EQ(file.find("blk.0.ffn_down.weight")->shape, (std::vector<dim>{256, 64}));  // innermost first
  const auto source = values_of(m.at("transformer.h.0.mlp.c_proj.weight"));           // (256, 64)
  const auto stored = gguf_values(file, "blk.0.ffn_down.weight");
  for (std::size_t in = 0; in < 256; ++in)
    for (std::size_t out = 0; out < 64; ++out) ASSERT_EQ(stored[out * 256 + in], source[in * 64 + out]);
}

TEST(Layouts, Conv1DStaysInHuggingFace) {
  const TempFolder temp;
  WrittenModel m = gpt2();
  run(m.write(temp.path / "in"), recipe_for("f32"), temp.path / "out");
  run(temp.path / "in", recipe_for("f32"), temp.path / "mid.gguf");
  run(temp.path / "mid.gguf", recipe_for("f32"), temp.path / "back");
  for (const char* folder : {"out", "back"}) {
    const auto files = SafetensorsSet::open(temp.path / folder);
    EXPECT_EQ(files.tensors().size(), m.tensors.size());
    for (const WrittenTensor& t : m.tensors) {
      const SafeTensor* written = files.find(t.name);
      ASSERT_NE(written, nullptr) << folder << " " << t.name;
      EXPECT_EQ(written->shape, std::vector<dim>(t.shape.begin(), t.shape.end())) << folder << " " << t.name;
      EXPECT_EQ(std::memcmp(files.data(*written), t.bytes.data(), t.bytes.size()), 0) << folder << " " << t.name;
    }
  }
}

// Hugging Face: q0 q1 k0 v0 q2 q3 k1 v1, each 16 rows. GGUF: q0 q1 q2 q3 k0 k1 v0 v1.
TEST(Layouts, FusedRowsMove) {
  const TempFolder temp;
  WrittenModel m = falcon();
  run(m.write(temp.path / "in"), recipe_for("q8_0"), temp.path / "q8.gguf");
  run(temp.path / "in", recipe_for("f32"), temp.path / "out.gguf");
  const auto source = values_of(m.at("transformer.h.0.self_attention.query_key_value.weight"));
  const auto stored = gguf_values(GgufFile(temp.path / "out.gguf"), "blk.0.attn_qkv.weight");
  const std::size_t from[] = {0, 1, 4, 5, 2, 6, 3, 7}, head = 16 * 64;
  for (std::size_t h = 0; h < 8; ++h)
    EXPECT_EQ(std::memcmp(&stored[h * head], &source[from[h] * head], head * 4), 0) << h;
  const auto rounded = gguf_values(GgufFile(temp.path / "q8.gguf"), "blk.0.attn_qkv.weight");
  for (std::size_t i = 0; i < stored.size(); ++i) ASSERT_NEAR(rounded[i], stored[i], 0.001);  // values within 1/8
  // attn_norm is that of the feed-forward
  EXPECT_EQ(gguf_values(GgufFile(temp.path / "out.gguf"), "blk.0.attn_norm.weight"),
            values_of(m.at("transformer.h.0.ln_mlp.weight")));
}

}  // namespace pith::test
