#include "compress/policy.h"

#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

std::vector<TensorPlan> plans_for(const GeneratedModel& m, const Recipe& recipe,
                                  Container container = Container::gguf) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", m));
  return choose_formats(model, recipe, container);
}

const TensorPlan& plan_of(const std::vector<TensorPlan>& plans, Role role, dim layer = -1) {
  for (const TensorPlan& p : plans)
    if (p.role == role && p.layer == layer) return p;
  throw std::runtime_error("no such plan");
}

}  // namespace

TEST(Policy, EmbeddingsGetMoreBitsThanLinears) {
  const GeneratedModel m{.tied = false};
  const auto plans = plans_for(m, recipe_for("q4_k"));
  EXPECT_EQ(plan_of(plans, Role::embed).to->name, "q6_k");
  EXPECT_EQ(plan_of(plans, Role::lm_head).to->name, "q6_k");
  EXPECT_EQ(plan_of(plans, Role::attn_q, 1).to->name, "q4_k");
  EXPECT_EQ(plan_of(plans, Role::attn_norm, 0).to->name, "f32");
  for (const char* same : {"q6_k", "q8_0", "f16"})
    EXPECT_EQ(plan_of(plans_for(m, recipe_for(same)), Role::embed).to->name, same);
  Recipe named = recipe_for("q4_k");
  named.embed_format = &format_or_throw("q8_0");
  EXPECT_EQ(plan_of(plans_for(m, named), Role::embed).to->name, "q8_0");
}

TEST(Policy, LastOverrideWins) {
  Recipe recipe = recipe_for("q4_0");
  for (const char* text : {"*@1=q5_0", "attn_v|ffn_down@0-1=q8_0", "attn_v@1=f16", "embed=q4_0"})
    recipe.overrides.push_back(parse_override(text));
  const auto plans = plans_for({}, recipe);
  EXPECT_EQ(plan_of(plans, Role::attn_v, 0).to->name, "q8_0");
  EXPECT_EQ(plan_of(plans, Role::attn_v, 1).to->name, "f16");
  EXPECT_EQ(plan_of(plans, Role::ffn_down, 1).to->name, "q8_0");
  EXPECT_EQ(plan_of(plans, Role::ffn_up, 1).to->name, "q5_0");
  EXPECT_EQ(plan_of(plans, Role::ffn_up, 0).to->name, "q4_0");
  EXPECT_EQ(plan_of(plans, Role::embed).to->name, "q4_0");
}

TEST(Policy, RefusesAnOverrideThatTouchesNothing) {
  for (const char* text : {"attn_v@2=q8_0", "attn_qkv=q8_0", "lm_head=q8_0"}) {  // two layers; no such role; tied
    Recipe recipe = recipe_for("q4_0");
    recipe.overrides.push_back(parse_override(text));
    EXPECT_NE(error_of([&] { plans_for({}, recipe); }).find("no tensor matches"), std::string::npos) << text;
  }
}

TEST(Policy, ListsFallbacksWithTheirReason) {
  GeneratedModel m;
  m.ffn = 320;  // the input of ffn_down: not whole blocks of 256
  const auto plans = plans_for(m, recipe_for("q4_k"));
  const TensorPlan& down = plan_of(plans, Role::ffn_down, 0);
  EXPECT_EQ(down.wanted->name, "q4_k");
  EXPECT_NE(down.to->name, "q4_k");
  EXPECT_EQ(320 % down.to->block, 0);
  EXPECT_NE(down.why.find("320 columns"), std::string::npos) << down.why;
  const TensorPlan& up = plan_of(plans, Role::ffn_up, 0);
  EXPECT_EQ(up.to, up.wanted);
}

TEST(Policy, WithoutFallbacksAllMisfitsAreListedAtOnce) {
  GeneratedModel m;
  m.ffn = 320;
  Recipe recipe = recipe_for("q4_k");
  recipe.allow_fallback = false;
  const std::string error = error_of([&] { plans_for(m, recipe); });
  EXPECT_NE(error.find("model.layers.0.mlp.down_proj.weight"), error.npos) << error;
  EXPECT_NE(error.find("model.layers.1.mlp.down_proj.weight"), error.npos) << error;
  EXPECT_NE(error.find("2 tensors"), error.npos) << error;
}

TEST(Policy, RefusesFormatsThatTheContainerCannotHold) {
  EXPECT_NE(error_of([&] { plans_for({}, recipe_for("q4_k"), Container::hf); }).find("q4_k"), std::string::npos);
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  int refused = 0;
  for (const Format* f : all_formats()) {
    if (f->gguf_type >= 0) continue;
    ++refused;
    const std::string error = error_of([&] { choose_formats(model, recipe_for(f->name), Container::gguf); });
    EXPECT_NE(error.find(f->name), std::string::npos) << f->name;
  }
  EXPECT_GT(refused, 0);
}

TEST(Policy, HuggingFaceKeepsTheSourcesTypes) {
  const GeneratedModel m{.dtype = "BF16"};
  const auto plans = plans_for(m, recipe_for("f16"), Container::hf);
  EXPECT_EQ(plan_of(plans, Role::attn_norm, 0).to->name, "bf16");
  EXPECT_EQ(plan_of(plans, Role::ffn_up, 0).to->name, "f16");
}

}  // namespace pith::test
