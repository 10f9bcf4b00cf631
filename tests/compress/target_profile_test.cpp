#include "compress/target_profile.h"

#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

std::string fault(const std::filesystem::path& source, std::string_view target, Container container,
                  std::string_view format, const std::vector<std::string>& overrides = {}) {
  Recipe recipe = recipe_for(format);
  recipe.target = &target_or_throw(target);
  for (const auto& text : overrides) recipe.overrides.push_back(parse_override(text));
  return error_of([&] { preflight(Model::open(source), recipe, container, "/tmp/never-written"); });
}

}  // namespace

TEST(TargetProfile, FusedLayersMustBeAlike) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  EXPECT_EQ(fault(source, "vllm", Container::hf, "int4_g128_sym"), "");
  const std::string error =
      fault(source, "vllm", Container::hf, "int4_g128_sym", {"attn_v=int8_g128_sym", "ffn_up@1=f16"});
  EXPECT_NE(error.find("3 tensors"), error.npos) << error;  // two v, one up
  EXPECT_NE(error.find("layers.0.self_attn.v_proj.weight: int8_g128_sym, but "), error.npos) << error;
  EXPECT_NE(error.find("layers.1.mlp.up_proj.weight: f16, but "), error.npos) << error;
  EXPECT_EQ(fault(source, "transformers", Container::hf, "int4_g128_sym", {"attn_v=int8_g128_sym"}), "");
}

TEST(TargetProfile, ContainersBitsAndSizes) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  EXPECT_NE(fault(source, "llama.cpp", Container::hf, "int4_g32").find("expected --to gguf"), std::string::npos);
  EXPECT_EQ(fault(source, "llama.cpp", Container::gguf, "q4_k"), "");
  EXPECT_NE(fault(source, "vllm", Container::hf, "int3_g128").find("3 bits, not 4 or 8"), std::string::npos);
  EXPECT_NE(fault(source, "vllm", Container::mlx, "affine4_g64").find("expected --to hf, gptq, awq, bnb"),
            std::string::npos);
  EXPECT_EQ(fault(source, "mlx", Container::mlx, "affine4_g64"), "");
  const auto narrow = write_model(temp.path / "narrow", {.hidden = 96, .ffn = 512, .heads = 2, .kv_heads = 1});
  EXPECT_NE(fault(narrow, "vllm", Container::hf, "int4_g32_sym").find("96 columns, not a multiple of 128"),
            std::string::npos);
  EXPECT_THROW(target_or_throw("ollama"), Error);
}

TEST(TargetProfile, ChoosesTheContainerThatHoldsTheFormat) {
  const TempFolder temp;
  const Model m = Model::open(write_model(temp.path / "in", {}));
  const ModelTensor& t = *m.find(Role::ffn_up, 0);
  const auto container = [&](std::string_view target, std::string_view format) {
    return container_for(target_or_throw(target), &format_or_throw(format), t);
  };
  EXPECT_EQ(container("vllm", "int4_g128"), Container::hf);
  EXPECT_EQ(container("vllm", "nf4_b64"), Container::bnb);
  EXPECT_EQ(container("mlx", "affine3_g64"), Container::mlx);
  EXPECT_EQ(container("llama.cpp", "q4_0"), Container::gguf);
  EXPECT_THROW((void)container("mlx", "q4_0"), Error);
}

}  // namespace pith::test
