#include "model/export.h"

#include <nlohmann/json.hpp>

#include "formats/format.h"
#include "model/export/parts.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using test::all_f32;
using test::decoded;
using test::write_plan;
using Dims = std::vector<dim>;

TEST(Export, RotatedRowsChangeTheirOrder) {
  EXPECT_EQ(rope_row_order(1, 8, true), (Dims{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_EQ(rope_row_order(1, 8, false), (Dims{0, 2, 4, 6, 1, 3, 5, 7}));
  EXPECT_EQ(rope_row_order(2, 4, true), (Dims{0, 2, 1, 3, 4, 6, 5, 7}));
}

void expect_same_tensors(const Model& a, const Model& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const ModelTensor &x = a.tensors()[i], &y = b.tensors()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.shape, y.shape) << x.name;
    EXPECT_EQ(x.weight.format, y.weight.format) << x.name;
    EXPECT_EQ(decoded(x), decoded(y)) << x.name;
  }
}

TEST(Export, StoriesToGgufAndBackIsBitEqual) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  PITH_NEED_DATA(file, "models/stories260K/stories260K-f32.gguf");
  const test::TempFolder out;
  const Model hf = Model::open(folder);
  const auto to_gguf = plan_export(hf, Container::gguf, all_f32(hf), "m.gguf");
  const Model gguf = Model::open(write_plan(hf, to_gguf, out.path / "a"));
  const Model theirs = Model::open(file);
  expect_same_tensors(gguf, theirs);  // theirs was made by another converter
  for (const auto& [key, value] : theirs.gguf_meta()->entries()) {
    if (!key.starts_with("llama.")) continue;
    const auto* ours = gguf.gguf_meta()->find(key);
    ASSERT_TRUE(ours) << key;
    EXPECT_TRUE(*ours == value) << key;
  }
  EXPECT_EQ(gguf.gguf_meta()->get_int("general.file_type"), 0);

  const auto back = plan_export(gguf, Container::hf, all_f32(gguf), "b");
  const Model again = Model::open(write_plan(gguf, back, out.path / "b"));
  expect_same_tensors(hf, again);
  const auto config = nlohmann::json::parse(again.hf_config());
  EXPECT_EQ(config["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(config["torch_dtype"], "float32");
  EXPECT_EQ(config["bos_token_id"], 1);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(config["rms_norm_eps"], 1e-5);
}

TEST(Export, TokenizerSurvivesBothConversions) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  const test::TempFolder out;
  const Model hf = Model::open(folder);
  const Model gguf =
      Model::open(write_plan(hf, plan_export(hf, Container::gguf, all_f32(hf), "m.gguf"), out.path / "a"));
  const Model again =
      Model::open(write_plan(gguf, plan_export(gguf, Container::hf, all_f32(gguf), "b"), out.path / "b"));
  const std::string text = "Once upon a time, there was a little girl named Lily.\n\xc3\xa9 \xf0\x9f\x99\x82";
  const auto ids = hf.tokenizer().encode(text);
  ASSERT_GT(ids.size(), 20u);
  EXPECT_EQ(gguf.tokenizer().encode(text), ids);
  EXPECT_EQ(again.tokenizer().encode(text), ids);
}

TEST(Export, SameContainerKeepsConfigAndOtherTensors) {
  const test::TempFolder out;
  test::WrittenModel m;
  m.config["custom_key"] = "kept";
  m.tensors.push_back(test::f32_tensor("extra.stack", {2, 3, 4}));
  m.tensors.push_back(test::f32_tensor("model.layers.0.self_attn.rotary_emb.inv_freq", {8}));
  const Model source = Model::open(m.write(out.path / "a"));
  EXPECT_EQ(source.tensors().back().name, "extra.stack");
  EXPECT_EQ(source.tensors().back().role, Role::other);
  const auto half =
      test::formats_for(source, [](const ModelTensor& t) { return t.vector ? &f32_format() : &f16_format(); });
  const Model copy = Model::open(write_plan(source, plan_export(source, Container::hf, half, "b"), out.path / "b"));
  const auto config = nlohmann::json::parse(copy.hf_config());
  EXPECT_EQ(config["custom_key"], "kept");
  EXPECT_EQ(config["torch_dtype"], "float16");
  EXPECT_EQ(copy.tensors().back().shape, (Dims{2, 3, 4}));
  EXPECT_EQ(copy.tensors().size(), source.tensors().size());
}

std::string fault_of(const Model& m, Container container, std::string_view format) {
  const auto chosen = test::formats_for(m, [&](const ModelTensor& t) {
    return t.role == Role::ffn_up || format == "all" ? &format_or_throw(format) : &f32_format();
  });
  try {
    (void)plan_export(m, container, chosen, "x");
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

TEST(Export, ContainersRefuseWhatTheyCannotHold) {
  const test::TempFolder out;
  const Model m = Model::open(test::WrittenModel().write(out.path / "a"));
  EXPECT_NE(fault_of(m, Container::hf, "q8_0").find("use --to gguf"), std::string::npos);
  EXPECT_NE(fault_of(m, Container::hf, "q8_0").find("mlp.up_proj"), std::string::npos);
  EXPECT_NE(fault_of(m, Container::gguf, "int4_g32_sym").find("use --to hf"), std::string::npos);
  EXPECT_NE(fault_of(m, Container::hf, "int4_g128").find("columns"), std::string::npos);
  EXPECT_EQ(fault_of(m, Container::hf, "int4_g32"), "");
  const auto embed = test::formats_for(
      m, [](const ModelTensor& t) { return t.role == Role::embed ? &format_or_throw("int8_g32") : &f32_format(); });
  EXPECT_THROW((void)plan_export(m, Container::hf, embed, "x"), Error);

  test::WrittenModel odd;
  odd.tensors.push_back(test::f32_tensor("extra.weight", {2, 3}));
  const Model with_extra = Model::open(odd.write(out.path / "b"));
  EXPECT_NE(fault_of(with_extra, Container::gguf, "f16").find("extra.weight"), std::string::npos);
}

TEST(Export, ShardsHoldTheSameModel) {
  const test::TempFolder out;
  const Model m = Model::open(test::WrittenModel().write(out.path / "a"));
  const auto plan = plan_export(m, Container::hf, all_f32(m), "b", 40000);
  ASSERT_GT(plan.files.size(), 3u);
  EXPECT_EQ(plan.files[0].name.substr(0, 12), "model-00001-");
  const Model sharded = Model::open(write_plan(m, plan, out.path / "b"));
  expect_same_tensors(m, sharded);
}

TEST(Export, UntiedHeadKeepsItsPlace) {
  const test::TempFolder out;
  test::WrittenModel written;
  written.config["tie_word_embeddings"] = false;
  written.tensors.push_back(test::f32_tensor("lm_head.weight", {40, 64}));
  const Model m = Model::open(written.write(out.path / "a"));
  EXPECT_FALSE(m.config().tied_embeddings);
  const Model gguf = Model::open(write_plan(m, plan_export(m, Container::gguf, all_f32(m), "m.gguf"), out.path));
  EXPECT_EQ(gguf.tensors().back().name, "output.weight");
  EXPECT_EQ(decoded(gguf.tensors().back()), decoded(m.tensors().back()));
  EXPECT_EQ(gguf.gguf_meta()->get_string("tokenizer.ggml.model"), "no_vocab");  // the folder brought none
}

TEST(Export, BiasesOfRotatedRowsMoveWithThem) {
  const test::TempFolder out;
  test::WrittenModel written;
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    written.tensors.push_back(test::f32_tensor(layer + "self_attn.q_proj.bias", {64}));
    written.tensors.push_back(test::f32_tensor(layer + "self_attn.k_proj.bias", {32}));
  }
  const Model m = Model::open(written.write(out.path / "a"));
  ASSERT_TRUE(m.blocks()[1].k.bias);
  const Model gguf = Model::open(write_plan(m, plan_export(m, Container::gguf, all_f32(m), "m.gguf"), out.path));
  const dim from[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
  for (dim i = 0; i < 32; ++i)
    EXPECT_EQ(gguf.blocks()[1].k.bias[i], m.blocks()[1].k.bias[i / 16 * 16 + from[i % 16]]) << i;
  for (const dim shard_bytes : {dim(1) << 30, dim(20000)}) {
    const auto plan = plan_export(gguf, Container::hf, all_f32(gguf), "b", shard_bytes);
    const auto folder = out.path / std::to_string(shard_bytes);
    expect_same_tensors(m, Model::open(write_plan(gguf, plan, folder)));
  }
}

// rope_freqs as the published recipe gives them: base 500000, heads of 16, factor 8, 1, 4, context 8192.
TEST(Export, LlamaThreeScalingBecomesATensorAndComesBack) {
  const test::TempFolder out;
  test::WrittenModel written;
  written.config["rope_theta"] = 500000.0;
  written.config["rope_scaling"] = {{"rope_type", "llama3"},
                                    {"factor", 8.0},
                                    {"low_freq_factor", 1.0},
                                    {"high_freq_factor", 4.0},
                                    {"original_max_position_embeddings", 8192}};
  const Model m = Model::open(written.write(out.path / "a"));
  EXPECT_EQ(m.config().rope.scaling, RopeScaling::llama3);
  const Model gguf = Model::open(write_plan(m, plan_export(m, Container::gguf, all_f32(m), "m.gguf"), out.path));
  const std::vector<float> expected = {1, 1, 1, 1, 2.6945297f, 8, 8, 8};
  const auto& factors = gguf.config().rope.freq_factors;
  ASSERT_EQ(factors.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(factors[i], expected[i], 1e-6 * expected[i]) << i;

  const Model again = Model::open(write_plan(
      gguf,
      plan_export(
          gguf, Container::hf,
          test::formats_for(
              gguf, [](const ModelTensor& t) { return t.role == Role::rope_factors ? nullptr : &f32_format(); }),
          "b"),
      out.path / "b"));
  EXPECT_EQ(again.config().rope.scaling, RopeScaling::llama3);
  EXPECT_EQ(again.config().rope.factor, 8);
  EXPECT_EQ(again.config().rope.original_context, 8192);
}

}  // namespace
}  // namespace pith
