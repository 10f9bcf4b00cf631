#include "compress/allocate/allocate.h"

#include <numeric>

#include "compress/allocate/sensitivity.h"
#include "compress/allocate/solver.h"
#include "core/rng.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

dim bytes_of(const std::vector<std::vector<Option>>& items, const std::vector<std::size_t>& chosen) {
  dim sum = 0;
  for (std::size_t i = 0; i < items.size(); ++i) sum += items[i][chosen[i]].bytes;
  return sum;
}

double cost_of(const std::vector<std::vector<Option>>& items, const std::vector<std::size_t>& chosen) {
  double sum = 0;
  for (std::size_t i = 0; i < items.size(); ++i) sum += items[i][chosen[i]].cost;
  return sum;
}

// All combinations: the specification.
double least_cost(const std::vector<std::vector<Option>>& items, dim budget) {
  double best = 1e300;
  std::vector<std::size_t> at(items.size(), 0);
  for (;;) {
    if (bytes_of(items, at) <= budget) best = std::min(best, cost_of(items, at));
    std::size_t i = 0;
    while (i < items.size() && ++at[i] == items[i].size()) at[i++] = 0;
    if (i == items.size()) return best;
  }
}

}  // namespace

TEST(ChooseWithin, ByHand) {
  // The second item gains 10 for 10 bytes, the first 3 for 10.
  const std::vector<std::vector<Option>> items = {{{10, 5}, {20, 2}}, {{10, 20}, {20, 10}}};
  EXPECT_EQ(choose_within(items, 30), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(choose_within(items, 40), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(choose_within(items, 20), (std::vector<std::size_t>{0, 0}));
  EXPECT_TRUE(choose_within(items, 19).empty());
}

TEST(ChooseWithin, LeavesOutWhatNeverPays) {
  // A larger option that costs more, one of equal size that costs more, one above the line between its neighbours.
  const std::vector<std::vector<Option>> items = {{{10, 10}, {12, 11}, {10, 12}, {15, 9.9}, {20, 1}}};
  EXPECT_EQ(choose_within(items, 15), (std::vector<std::size_t>{0}));
  EXPECT_EQ(choose_within(items, 25), (std::vector<std::size_t>{4}));
}

TEST(ChooseWithin, StaysNearTheBestOfAllCombinations) {
  Rng rng(5);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<std::vector<Option>> items(6);
    for (auto& item : items)
      for (int k = 0; k < 4; ++k) item.push_back({10 + dim(rng.below(100)), rng.uniform()});
    dim smallest = 0;
    for (const auto& item : items)
      smallest += std::min_element(item.begin(), item.end(), [](const Option& a, const Option& b) {
                    return a.bytes < b.bytes;
                  })->bytes;
    const dim budget = smallest + 120;
    const auto chosen = choose_within(items, budget);
    ASSERT_EQ(chosen.size(), items.size());
    EXPECT_LE(bytes_of(items, chosen), budget);
    EXPECT_LE(cost_of(items, chosen), least_cost(items, budget) + 0.7) << trial;  // at most about one step worse
  }
}

TEST(OverrideText, ReadsBack) {
  for (const char* text : {"*=q4_0", "attn_v|ffn_down@0-3,7=q6_k", "embed=q5_1", "*@2=q8_0"})
    EXPECT_EQ(override_text(parse_override(text)), text);
}

TEST(Allocate, FileStaysWithinTheBudgetAndUsesIt) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 192, .ffn = 320});
  Recipe recipe;
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 3, .length = 16, .seed = 3};
  for (const dim budget : {dim(560'000), dim(760'000)}) {
    recipe.max_bytes = budget;
    const auto target = temp.path / fmt::format("{}.gguf", budget);
    run(source, recipe, target);
    const dim size = dim(std::filesystem::file_size(target));
    EXPECT_LE(size, budget);
    EXPECT_GT(size, budget * 95 / 100);
  }
}

TEST(Allocate, DecidedTensorsStayDecided) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 192, .ffn = 320});
  Recipe recipe;
  recipe.max_bytes = 500'000;
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 2, .length = 16, .seed = 3};
  recipe.overrides = {parse_override("ffn_down=q8_0")};
  const Preflight plan = preflight(Model::open(source), recipe, Container::gguf, temp.path / "x.gguf");
  for (const TensorPlan& t : plan.tensors)
    if (t.role == Role::ffn_down) {
      EXPECT_EQ(t.to->name, "q8_0");
    }
  EXPECT_LE(plan.output_bytes, 500'000);
}

TEST(Allocate, RefusesWhatCannotBe) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  Recipe recipe;
  recipe.max_bytes = 1000;
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 2, .length = 16, .seed = 3};
  const std::string fault = error_of([&] { run(source, recipe, temp.path / "x.gguf"); });
  EXPECT_NE(fault.find("expected at least"), std::string::npos) << fault;
  EXPECT_NE(fault.find("got 1000"), std::string::npos) << fault;
}

// A matrix that the model does not feel: errors there cost nothing. One that it feels: more error, more cost.
TEST(Sensitivity, FollowsWhatTheModelFeels) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.edit = [](const std::string& name, std::vector<float>& values) {
                                    if (name.find("layers.0.self_attn.o_proj") != name.npos)
                                      std::fill(values.begin(), values.end(), 0.0f);
                                  }});
  const Model model = Model::open(source);
  std::vector<std::size_t> tensors;
  for (std::size_t i = 0; i < model.tensors().size(); ++i)
    if (model.tensors()[i].layer == 0 &&
        (model.tensors()[i].role == Role::attn_v || model.tensors()[i].role == Role::ffn_down))
      tensors.push_back(i);
  const std::vector<const Format*> formats = {&format_or_throw("q2_k"), &format_or_throw("q4_k"),
                                              &format_or_throw("q8_0")};
  const auto measured = measure_sensitivity(
      model, tensors, calibration_tokens(model, {.files = {}, .samples = 3, .length = 16, .seed = 1}),
      {.formats = {formats, formats}, .probe_bits = 4}, no_progress());
  ASSERT_EQ(measured.size(), 2u);
  for (const Sensitivity& s : measured) {
    EXPECT_GT(s.candidates[0].error, s.candidates[1].error);
    EXPECT_GT(s.candidates[1].error, s.candidates[2].error);
    const Role role = model.tensors()[s.tensor].role;
    if (role == Role::attn_v)
      EXPECT_EQ(s.divergence_per_error, 0) << "its output is multiplied by zeros";
    else
      EXPECT_GT(s.divergence_per_error, 0);
  }
}

}  // namespace pith::test
