// What a sweep's file says, as points: names, recipes, order; and what is refused.
#include "study/sweep_file.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace pith::test {

namespace {

SweepPlan plan_of(const std::string& points, const SweepOverrides& given = {}) {
  return parse_sweep(
      "models: [m.gguf]\nmeasure: {text: t.txt}\ncalibrate: {files: [c.txt], samples: 8}\npoints:\n" + points, "s.yaml",
      "/here", given);
}

std::vector<std::string> names_of(const SweepPlan& plan) {
  std::vector<std::string> names;
  for (const SweepPoint& p : plan.points) names.push_back(p.name);
  return names;
}

std::string fault_of(const std::string& yaml) {
  try {
    (void)parse_sweep(yaml, "s.yaml", "/here", {});
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

using Names = std::vector<std::string>;

}  // namespace

TEST(SweepFile, ListsAreTriedWithEachOtherTheLastFastest) {
  const SweepPlan plan = plan_of(
      "  - {methods: [rtn, gptq], formats: [q4_0, q8_0], max_bytes: 90MB}\n"
      "  - {methods: sparsegpt, options: {sparsity: [30, 50], damping: 0.02}, formats: int8_row_sym, store: "
      "bitmask}\n");
  EXPECT_EQ(names_of(plan), (Names{"rtn q4_0", "rtn q8_0", "rtn 90MB", "gptq q4_0", "gptq q8_0", "gptq 90MB",
                                   "sparsegpt sparsity=30 int8_row_sym", "sparsegpt sparsity=50 int8_row_sym"}));
  EXPECT_EQ(plan.points[1].recipe.recipe.format->name, "q8_0");
  EXPECT_EQ(plan.points[2].recipe.recipe.max_bytes, 90'000'000);
  EXPECT_EQ(plan.points[2].recipe.recipe.format, nullptr);
  const Recipe& last = plan.points[7].recipe.recipe;
  EXPECT_EQ(last.steps[0].options, (Names{"sparsity=50", "damping=0.02"}));
  EXPECT_EQ(last.store, SparseLayout::bitmask);
}

TEST(SweepFile, TheTextGoesToMethodsThatNeedOneAndWhereItIsAskedFor) {
  const SweepPlan plan = plan_of(
      "  - {methods: [rtn, gptq], formats: q4_0}\n"
      "  - {name: imatrix, methods: rtn, formats: q4_0, calibrate: {length: 64}}\n");
  EXPECT_FALSE(plan.points[0].recipe.recipe.calibration.has_value());
  EXPECT_EQ(plan.points[1].recipe.recipe.calibration->files.at(0), "/here/c.txt");
  EXPECT_EQ(plan.points[1].recipe.recipe.calibration->samples, 8);
  EXPECT_EQ(plan.points[1].recipe.recipe.calibration->length, 512);
  EXPECT_EQ(plan.points[2].name, "imatrix q4_0");
  EXPECT_EQ(plan.points[2].recipe.recipe.calibration->samples, 8);  // the sweep's
  EXPECT_EQ(plan.points[2].recipe.recipe.calibration->length, 64);  // its own
}

TEST(SweepFile, RecipesByNameAndStepsTakeFormatsToo) {
  const SweepPlan plan = plan_of(
      "  - {recipe: w4-best}\n"
      "  - {recipe: w4-best, formats: [q4_0, q4_1]}\n"
      "  - {name: mine, steps: [{method: awq}, {method: gptq}], formats: [q4_0]}\n");
  EXPECT_EQ(names_of(plan), (Names{"w4-best", "w4-best q4_0", "w4-best q4_1", "mine q4_0"}));
  EXPECT_EQ(plan.points[0].recipe.recipe.format->name, "int4_g128");
  EXPECT_EQ(plan.points[3].recipe.recipe.steps.size(), 2u);
}

TEST(SweepFile, TheCommandLineHasTheLastWord) {
  const SweepPlan plan = plan_of(
      "  - {methods: gptq, formats: q4_0}\n",
      {.models = {"/a/x.gguf", "/b/y/"}, .calibrate = {"k.txt"}, .text = "other.txt", .out = "there", .windows = 3});
  ASSERT_EQ(plan.models.size(), 2u);
  EXPECT_EQ(plan.models[0].name, "x");
  EXPECT_EQ(plan.models[1].name, "y");
  EXPECT_EQ(plan.measure.text_file, "other.txt");
  EXPECT_EQ(plan.measure.eval.max_windows, 3);
  EXPECT_EQ(plan.out, "there");
  EXPECT_EQ(plan.points[0].recipe.recipe.calibration->files, (std::vector<std::filesystem::path>{"k.txt"}));
  EXPECT_EQ(plan.points[0].recipe.recipe.calibration->samples, 8);
}

TEST(SweepFile, FaultsSayWhere) {
  const std::string head = "models: [m]\nmeasure: {text: t}\npoints:\n";
  for (const auto& [yaml, part] : std::initializer_list<std::pair<std::string, const char*>>{
           {"measure: {text: t}\npoints: [{methods: rtn}]", "expected models"},
           {"models: [m]\npoints: [{methods: rtn}]", "to measure quality on"},
           {head + "  []", "at least one point"},
           {head + "  - {methods: nonsense}", "line 4"},
           {head + "  - {methods: gptq, options: {damping: much}}", "line 4"},
           {head + "  - {methods: gptq, formats: q4_9}", "q4_9"},
           {head + "  - {methods: gptq, steps: [{method: rtn}]}", "got both"},
           {head + "  - {recipe: w4-best, store: bitmask}", "got 'store'"},
           {head + "  - {methods: rtn, formats: q4_0}\n  - {methods: rtn, formats: q4_0}", "two are 'rtn q4_0'"},
           {head + "  - {method: rtn}", "expected one of"},
           {"models: [a/m, b/m]\nmeasure: {text: t}\npoints: [{methods: rtn}]", "two are 'm'"},
           {"models: [m]\nmeasure: {text: t, protocol: mine}\npoints: [{methods: rtn}]", "llamacpp-512"},
           {"models: [m", "s.yaml"}}) {
    const std::string fault = fault_of(yaml);
    EXPECT_NE(fault.find(part), fault.npos) << yaml << "\n" << fault;
  }
}

TEST(SweepFile, NamesOfFilesHaveNoSignsOfPaths) {
  EXPECT_EQ(file_name("gptq int4_g64"), "gptq-int4_g64");
  EXPECT_EQ(file_name("../../etc"), "-..-..-etc");
  EXPECT_EQ(file_name("awq+gptq p=2.4"), "awq+gptq-p=2.4");
}

}  // namespace pith::test
