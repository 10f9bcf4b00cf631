// Models with experts through both containers.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

GeneratedModel mixtral() { return {.hidden = 64, .ffn = 96, .experts = 4}; }

std::vector<float> values_of(const GeneratedModel& m, const std::string& name) {
  for (const auto& t : generated_tensors(m))
    if (t.name == name) return generated_values(m, t);
  ADD_FAILURE() << name;
  return {};
}

std::vector<float> stack_of(const GeneratedModel& m, const std::string& part) {
  std::vector<float> all;
  for (int e = 0; e < 4; ++e) {
    const auto one = values_of(m, fmt::format("model.layers.1.block_sparse_moe.experts.{}.{}.weight", e, part));
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

std::vector<float> logits_of(const std::filesystem::path& path) {
  const Model model = Model::open(path);
  const std::vector<Token> tokens = {3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46};
  KvCache cache(model.config(), 1, 16);
  const Chunk chunk{0, tokens, 0};
  std::vector<float> out;
  Forward(model).run(cache, {&chunk, 1},
                     [&](dim, const float* x, dim rows) { out.insert(out.end(), x, x + rows * model.config().vocab); });
  return out;
}

// The part of the logits' energy that changed.
double change(const std::vector<float>& before, const std::vector<float>& after) {
  double error = 0, square = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    error += std::pow(double(before[i]) - after[i], 2);
    square += std::pow(double(before[i]), 2);
  }
  return std::sqrt(error / square);
}

}  // namespace

TEST(Experts, AreStackedInGguf) {
  const TempFolder temp;
  const GeneratedModel m = mixtral();
  const Outcome outcome = run(write_model(temp.path / "in", m), recipe_for("f32"), temp.path / "out.gguf");
  const GgufFile file(temp.path / "out.gguf");
  EXPECT_EQ(file.meta().get_string("general.architecture"), "llama");
  EXPECT_EQ(file.meta().get_int("llama.expert_count"), 4);
  EXPECT_EQ(file.meta().get_int("llama.expert_used_count"), 2);
  ASSERT_NE(file.find("blk.1.ffn_down_exps.weight"), nullptr);
  EXPECT_EQ(file.find("blk.1.ffn_down_exps.weight")->shape, (std::vector<dim>{96, 64, 4}));  // innermost first
  EXPECT_EQ(gguf_values(file, "blk.1.ffn_gate_exps.weight"), stack_of(m, "w1"));
  EXPECT_EQ(gguf_values(file, "blk.1.ffn_down_exps.weight"), stack_of(m, "w2"));
  EXPECT_EQ(gguf_values(file, "blk.1.ffn_up_exps.weight"), stack_of(m, "w3"));
  EXPECT_EQ(gguf_values(file, "blk.1.ffn_gate_inp.weight"),
            values_of(m, "model.layers.1.block_sparse_moe.gate.weight"));
  EXPECT_EQ(std::count_if(outcome.tensors.begin(), outcome.tensors.end(),
                          [](const TensorOutcome& t) { return t.role == Role::expert_up; }),
            8);
}

TEST(Experts, QuantizedTheySayNearlyTheSame) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", mixtral());
  Recipe recipe = recipe_for("q8_0");
  recipe.overrides.push_back(parse_override("expert_down@1=q4_0"));
  run(source, recipe, temp.path / "out.gguf");
  const GgufFile file(temp.path / "out.gguf");
  EXPECT_EQ(gguf_format(file, "blk.0.ffn_down_exps.weight"), "q8_0");
  EXPECT_EQ(gguf_format(file, "blk.1.ffn_down_exps.weight"), "q4_0");
  EXPECT_EQ(gguf_format(file, "blk.1.ffn_up_exps.weight"), "q8_0");
  EXPECT_EQ(gguf_format(file, "blk.1.ffn_gate_inp.weight"), "f32");  // routers decide, they are small
  const double changed = change(logits_of(source), logits_of(temp.path / "out.gguf"));
  EXPECT_GT(changed, 0);
  EXPECT_LT(changed, 0.05);
}

TEST(Experts, IntegerGroupsNameTheRoutersAsDense) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", mixtral());
  run(source, recipe_for("int8_g32_sym"), temp.path / "out");
  std::ifstream in(temp.path / "out/config.json");
  const auto config = nlohmann::json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  const std::vector<std::string> ignored = config["quantization_config"]["ignore"];
  for (const char* router : {"model.layers.0.block_sparse_moe.gate", "model.layers.1.block_sparse_moe.gate"})
    EXPECT_EQ(std::count(ignored.begin(), ignored.end(), router), 1) << router;
  const Model written = Model::open(temp.path / "out");
  ASSERT_NE(written.find(Role::expert_up, 1, Part::weight, 3), nullptr);
  EXPECT_EQ(written.find(Role::expert_up, 1, Part::weight, 3)->weight.format->name, "int8_g32_sym");
  EXPECT_LT(change(logits_of(source), logits_of(temp.path / "out")), 0.05);
}

// Each token goes to two of the four experts, and the report says to which.
TEST(Experts, CalibrationCountsTheirTokens) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", mixtral());
  Recipe recipe = recipe_for("q8_0");
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 2, .length = 16, .seed = 3};
  const Outcome outcome = run(source, recipe, temp.path / "out.gguf");
  std::map<dim, dim> sent;
  for (const TensorOutcome& t : outcome.tensors) {
    if (t.role == Role::expert_down) sent[t.layer] += t.tokens;
    if (t.role == Role::attn_q) {
      EXPECT_EQ(t.tokens, outcome.calibration_tokens);
    }
    if (t.role == Role::attn_norm) {
      EXPECT_EQ(t.tokens, -1);
    }
  }
  EXPECT_EQ(sent, (std::map<dim, dim>{{0, 2 * outcome.calibration_tokens}, {1, 2 * outcome.calibration_tokens}}));
}

// A stack is taken apart again: exact values, and each under its own name.
TEST(Experts, GgufToHuggingFace) {
  const TempFolder temp;
  const GeneratedModel m = mixtral();
  run(write_model(temp.path / "in", m), recipe_for("f32"), temp.path / "mid.gguf");
  const Outcome outcome = run(temp.path / "mid.gguf", recipe_for("f32"), temp.path / "back");
  const Model back = Model::open(temp.path / "back");
  const ModelTensor* t = back.find(Role::expert_down, 1, Part::weight, 2);
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->name, "model.layers.1.block_sparse_moe.experts.2.w2.weight");
  const auto expected = values_of(m, t->name);
  EXPECT_EQ(std::memcmp(t->weight.data, expected.data(), expected.size() * 4), 0);
  EXPECT_TRUE(std::any_of(outcome.tensors.begin(), outcome.tensors.end(),
                          [](const TensorOutcome& o) { return o.name == "blk.1.ffn_down_exps.weight[2]"; }));
}

TEST(Experts, OneMissingIsNamed) {
  const TempFolder temp;
  const auto folder = write_model(temp.path / "in", mixtral());
  std::ifstream in(folder / "config.json");
  auto config = nlohmann::json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  config["num_local_experts"] = 5;
  std::ofstream(folder / "config.json") << config.dump();
  EXPECT_NE(error_of([&] { (void)Model::open(folder); }).find("experts.4."), std::string::npos);
  config["num_local_experts"] = 3;
  std::ofstream(folder / "config.json") << config.dump();
  EXPECT_NE(error_of([&] { (void)Model::open(folder); }).find("experts.3."), std::string::npos);
}

}  // namespace pith::test
