// Whole runs whose output says how inputs are rounded.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe with(std::string_view format, std::string_view activations, const std::string& method = "rtn") {
  Recipe recipe = recipe_for(format);
  recipe.steps = steps_of(method, {"range=minmax"});
  recipe.activations = ActSpec(activations);
  if (method != "rtn" || activations.find("static") != activations.npos)
    recipe.calibration = CalibrationChoice{.files = {}, .samples = 3, .length = 24, .seed = 5};
  return recipe;
}

nlohmann::json config_of(const std::filesystem::path& folder) {
  std::ifstream in(folder / "config.json");
  return nlohmann::json::parse(in);
}

}  // namespace

TEST(ActivationsRun, IntegerLayersGoOutAsTheyAreKnownElsewhere) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  run(source, with("int8_row_sym", "int8"), temp.path / "out");
  const nlohmann::json q = config_of(temp.path / "out").at("quantization_config");
  EXPECT_EQ(q.at("format"), "int-quantized");
  const nlohmann::json group = q.at("config_groups").at("group_0"), inputs = group.at("input_activations");
  EXPECT_EQ(group.at("weights").at("strategy"), "channel");
  EXPECT_EQ(inputs.at("num_bits"), 8);
  EXPECT_EQ(inputs.at("type"), "int");
  EXPECT_EQ(inputs.at("strategy"), "token");
  EXPECT_EQ(inputs.at("dynamic"), true);
  const auto stored = SafetensorsSet::open(temp.path / "out");
  const SafeTensor* weight = stored.find("model.layers.0.mlp.up_proj.weight");
  ASSERT_TRUE(weight);
  EXPECT_EQ(weight->dtype, "I8");
  EXPECT_EQ(weight->shape, (std::vector<dim>{512, 256}));
  EXPECT_FALSE(stored.find("model.layers.0.mlp.up_proj.input_scale"));

  const Model model = Model::open(temp.path / "out");
  EXPECT_EQ(model.run_time().activations.text(), "int8");
  EXPECT_TRUE(model.notes().empty());
  const ActPlan as_they_come;
  const auto rounded = logits_of(model), exact = logits_of(model, &as_they_come);
  EXPECT_NE(rounded, exact);
  EXPECT_LT(distance(rounded, exact), 0.05 * distance(exact, std::vector<float>(exact.size())));
  const ActSpec same("int8");
  EXPECT_EQ(logits_of(model, &same.plan()), rounded);
}

TEST(ActivationsRun, BothContainersAndBackGiveTheSameLogits) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  Recipe recipe = with("q8_0", "int4:clip=0.8");
  recipe.embed_format = &f32_format();  // the same values in both
  run(source, recipe, temp.path / "a.gguf");
  const Model gguf = Model::open(temp.path / "a.gguf");
  EXPECT_EQ(gguf.run_time().activations.text(), "int4:clip=0.8");
  Recipe keep;
  keep.allow_requantize = true;
  compress(gguf, keep, Container::hf, temp.path / "b", {});
  const Model hf = Model::open(temp.path / "b");
  EXPECT_EQ(hf.run_time().activations.text(), "int4:clip=0.8");
  // Sums in groups of 32 and the order of rows inside heads are those of before.
  const auto a = logits_of(gguf), b = logits_of(hf);
  EXPECT_LT(distance(a, b), 1e-5 * distance(a, std::vector<float>(a.size())));
}

TEST(ActivationsRun, StaticScalesAreTheLargestInputs) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2});
  run(source, with("int8_row_sym", "int8:scale=static"), temp.path / "out");
  EXPECT_EQ(config_of(temp.path / "out")
                .at("quantization_config")
                .at("config_groups")
                .at("group_0")
                .at("input_activations")
                .at("strategy"),
            "tensor");
  const Model model = Model::open(temp.path / "out");
  EXPECT_EQ(model.run_time().activations.text(), "int8:scale=static");
  for (const Block& b : model.blocks()) {
    EXPECT_GT(b.q.act_scale, 0);
    EXPECT_EQ(b.q.act_scale, b.k.act_scale);  // the same input
    EXPECT_NE(b.q.act_scale, b.down.act_scale);
    EXPECT_TRUE(b.down.act && b.down.act->fixed);
  }
  EXPECT_NE(error_of([&] { run(source, with("q8_0", "int8:scale=static"), temp.path / "x.gguf"); }).find("static"),
            std::string::npos);
  const ActSpec fixed("int8:scale=static");
  const Model plain = Model::open(source);
  EXPECT_NE(error_of([&] { logits_of(plain, &fixed.plan()); }).find("expected a static scale"), std::string::npos);
}

TEST(ActivationsRun, ContainersWithoutAPlaceRefuse) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  EXPECT_NE(error_of([&] {
              compress(model, with("int4_g64", "int8"), Container::gptq, temp.path / "x", {});
            }).find("use --to hf"),
            std::string::npos);
}

// Channels that are sixty times louder in the norm: SmoothQuant moves them into the weights.
TEST(ActivationsRun, SmoothingLosesLess) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.edit = [](const std::string& name, std::vector<float>& values) {
                                    if (name.find("layernorm") == name.npos) return;
                                    for (std::size_t i = 3; i < values.size(); i += 64) values[i] *= 60;
                                  }});
  const auto before = logits_of(Model::open(source));
  run(source, with("int8_row_sym", "int8"), temp.path / "rtn");
  const double plain = distance(before, logits_of(Model::open(temp.path / "rtn")));
  for (const std::string method : {"smoothquant", "smoothquant+rtn", "smoothquant+gptq"}) {
    run(source, with("int8_row_sym", "int8", method), temp.path / method);
    EXPECT_LT(distance(before, logits_of(Model::open(temp.path / method))), 0.7 * plain) << method;
  }
}

// A codec of keys and values is asked for by the recipe, kept by conversions, and gone where f32 is asked for.
TEST(RunTime, KeysAndValuesTravelWithTheModel) {
  const TempFolder temp;
  Recipe recipe = recipe_for("q8_0");
  recipe.kv = KvSpec("kivi:bits=2,residual=64");
  run(write_model(temp.path / "in", {}), recipe, temp.path / "a.gguf");
  EXPECT_EQ(Model::open(temp.path / "a.gguf").run_time().kv.text(), "kivi:bits=2,residual=64");
  recipe = recipe_for("f32");
  run(temp.path / "a.gguf", recipe, temp.path / "b");
  EXPECT_EQ(config_of(temp.path / "b").at("pith").at("kv_cache"), "kivi:bits=2,residual=64");
  EXPECT_EQ(Model::open(temp.path / "b").run_time().kv.text(), "kivi:bits=2,residual=64");
  recipe.kv = KvSpec("f32");
  run(temp.path / "b", recipe, temp.path / "c");
  EXPECT_EQ(Model::open(temp.path / "c").run_time().kv.text(), "f32");
  EXPECT_FALSE(config_of(temp.path / "c").contains("pith"));
}

}  // namespace pith::test
