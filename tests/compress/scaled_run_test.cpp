// Whole runs of methods that scale.
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe with_method(const std::string& method, std::vector<std::string> options = {}, std::uint64_t seed = 5) {
  Recipe recipe = recipe_for("int4_g32");
  recipe.steps = steps_of(method, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 16, .length = 32, .seed = seed};
  return recipe;
}

// A few inputs are twenty times louder than the rest.
void make_loud(const std::string& name, std::vector<float>& values) {
  if (name.find("layernorm") != name.npos)
    for (std::size_t i = 3; i < values.size(); i += 64) values[i] *= 20;
}

}  // namespace

TEST(ScaledRun, LoudInputsLoseLess) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.dtype = "BF16", .edit = make_loud});
  const auto before = logits_of(Model::open(source));
  std::map<std::string, double> lost;  // over several texts to calibrate with: a single one is short
  for (const std::uint64_t seed : {1, 2})
    for (const std::string method : {"rtn", "awq", "gptq", "awq+gptq"}) {
      const auto out = temp.path / (method + std::to_string(seed));
      const Outcome outcome = run(source, with_method(method, {}, seed), out);
      lost[method] += distance(before, logits_of(Model::open(out)));
      for (const TensorOutcome& t : outcome.tensors)
        EXPECT_LT(t.relative_error, 0.35) << method << " " << t.name;  // against the source
    }
  EXPECT_LT(lost["awq"], lost["rtn"]);
  EXPECT_LT(lost["awq+gptq"], lost["awq"]);
}

TEST(ScaledRun, OptionsGoToTheMethodThatKnowsThem) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 1});
  const auto fault = [&](const std::string& method, const std::string& option) {
    return error_of([&] { run(source, with_method(method, {option}), temp.path / "out", {{}, true}); });
  };
  EXPECT_EQ(fault("awq+gptq", "rows=16"), "");
  EXPECT_EQ(fault("awq+gptq", "damping=0.05"), "");
  EXPECT_NE(fault("awq+gptq", "colour=red").find("colour"), std::string::npos);
  EXPECT_NE(fault("awq", "damping=0.05").find("damping"), std::string::npos);
  EXPECT_NE(fault("gptq+awq", "").find("expected a method that prepares the model before the +, got 'gptq'"),
            std::string::npos);
  EXPECT_NE(fault("awq+", "").find("expected one of"), std::string::npos);
}

TEST(ScaledRun, SaysWhatStaysUnscaled) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  const Preflight plan = preflight(model, with_method("awq"), Container::hf, temp.path / "out");
  EXPECT_NE(std::find(plan.notes.begin(), plan.notes.end(),
                      "not scaled: attention output: several heads read the same values"),
            plan.notes.end());
}

}  // namespace pith::test
