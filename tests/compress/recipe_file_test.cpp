#include "compress/recipe_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

RecipeFile parsed(const std::string& yaml) { return parse_recipe(yaml, "test", "folder"); }

std::string fault_of(const std::string& yaml) {
  try {
    parsed(yaml);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(RecipeFile, SaysWhatTheFlagsSay) {
  const RecipeFile file = parsed(R"(
summary: two methods
steps:
  - {method: awq, where: attn_q|attn_k|attn_v}
  - method: gptq
    options: {damping: 0.1, act_order: false}
    format: q4_0
  - {method: hqq, where: "ffn_down@0-1", format: q5_1}
  - {where: "*@2", format: q8_0}
embed_format: q6_k
calibrate: {files: [a.txt, b/c.jsonl], samples: 7, length: 99, seed: 5}
importance: some.imatrix
to: gguf
activations: int8
kv: kivi:residual=64
fallback: false
allow_requantize: true
dither: 12
)");
  EXPECT_EQ(file.name, "test");
  EXPECT_EQ(file.summary, "two methods");
  EXPECT_EQ(file.container, "gguf");
  const Recipe& r = file.recipe;
  EXPECT_EQ(steps_text(r), "awq[attn_q|attn_k|attn_v]+gptq+hqq[ffn_down@0-1]");
  EXPECT_EQ(r.steps[1].options, (std::vector<std::string>{"damping=0.1", "act_order=false"}));
  EXPECT_EQ(r.format->name, "q4_0");
  ASSERT_EQ(r.overrides.size(), 2u);
  EXPECT_EQ(override_text(r.overrides[0]), "ffn_down@0-1=q5_1");
  EXPECT_EQ(override_text(r.overrides[1]), "*@2=q8_0");
  EXPECT_EQ(r.embed_format->name, "q6_k");
  ASSERT_TRUE(r.calibration);
  EXPECT_EQ(r.calibration->files, (std::vector<std::filesystem::path>{"folder/a.txt", "folder/b/c.jsonl"}));
  EXPECT_EQ(r.calibration->samples, 7);
  EXPECT_EQ(r.calibration->length, 99);
  EXPECT_EQ(r.calibration->seed, 5u);
  EXPECT_EQ(*r.importance_file, "folder/some.imatrix");
  EXPECT_EQ(r.activations->text(), "int8");
  EXPECT_EQ(r.kv->text(), "kivi:residual=64");
  EXPECT_FALSE(r.allow_fallback);
  EXPECT_TRUE(r.allow_requantize);
  EXPECT_TRUE(r.dither.on);
  EXPECT_EQ(r.dither.seed, 12u);
}

TEST(RecipeFile, EveryFaultNamesItsLine) {
  const struct {
    const char *yaml, *says;
  } cases[] = {
      {"steps:\n  - {method: gptq}\nformat: q4_0", "line 3] expected one of activations, "},
      {"steps:\n  - method: gtpq", "line 2] [method] expected one of rtn"},
      {"steps:\n  - method: gptq\n    options: {damping: -1}", "damping"},
      {"steps:\n  - method: rtn\n    options: {dampig: 1}", "dampig"},
      {"steps:\n  - {format: q4_0}\n  - {format: q9_z}", "line 3] [format] expected one of"},
      {"steps:\n  - {where: attn_x, format: q4_0}", "attn_x"},
      {"steps:\n  - {where: attn_q}", "line 2] expected a method, a format, or both"},
      {"steps: gptq", "line 1] expected a list"},
      {"steps:\n  - gptq", "line 2] expected a step: keys and values"},
      {"dither: -1", "line 1] expected a whole number"},
      {"dither: 1e3x", "line 1] expected a whole number"},
      {"fallback: perhaps", "line 1] expected true or false"},
      {"calibrate: {samples: 0}", "expected a whole number from 1"},
      {"max_bytes: many", "expected bytes such as"},
      {"max_bytes: 90MB\nsteps: [{format: q4_0}]", "expected either a format for all linears or max_bytes"},
      {"to: zip", "line 1] [container] expected one of"},
      {"kv: kiwi", "line 1] [kv] expected one of"},
      {"activations: int9", "line 1] [activations] expected one of"},
      {"target: toaster", "line 1] [target]"},
      {"summary: a\nsummary: b", "line 2] expected 'summary' once"},
      {"[1, 2", "line 1"},
      {"", "expected a recipe: keys and values"},
      {"- rtn", "expected a recipe: keys and values"},
  };
  for (const auto& c : cases)
    EXPECT_NE(fault_of(c.yaml).find(c.says), std::string::npos) << c.yaml << ": " << fault_of(c.yaml);
}

TEST(RecipeFile, EveryPresetCanBeRead) {
  EXPECT_GE(all_presets().size(), 3u);
  for (const Preset& preset : all_presets()) {
    const RecipeFile file = open_recipe(std::string(preset.name));
    EXPECT_FALSE(file.summary.empty()) << preset.name;
  }
  EXPECT_EQ(open_recipe("w4-fast").recipe.format->name, "int4_g128");
  EXPECT_THROW(open_recipe("w5"), Error);
}

TEST(RecipeFile, WritesWhatItReads) {
  EXPECT_EQ(recipe_yaml(parsed("{steps: [{method: awq, where: ffn_down@0-1}, {method: gptq, options: {damping: 0.1}, "
                               "format: q4_0}, {where: attn_v, format: q8_0}], store: bitmask}")),
            "steps:\n"
            "  - method: awq\n"
            "    where: ffn_down@0-1\n"
            "  - method: gptq\n"
            "    options:\n"
            "      damping: 0.1\n"
            "  - format: q4_0\n"
            "  - where: attn_v\n"
            "    format: q8_0\n"
            "store: bitmask\n");
  const std::string all =
      "{summary: 'all: of it', steps: [{method: rtn, format: q4_0}], embed_format: q6_k, importance: /a/b.imatrix, "
      "calibrate: {files: [/a/t.txt], samples: 7, length: 99, seed: 5, true_sequential: true}, to: gguf, "
      "activations: int8, kv: 'kivi:residual=64', fallback: false, allow_requantize: true, dither: 3, lora: /a/l, "
      "target: llama.cpp, sparsity: {allocation: owl, spread: 3, max_bytes: 2MB}}";
  const std::string once = recipe_yaml(parsed(all)), twice = recipe_yaml(parsed(once));
  EXPECT_EQ(once, twice);
  for (const char* part : {"q6_k", "/a/b.imatrix", "/a/t.txt", "samples: 7", "length: 99", "seed: 5", "true_sequential",
                           "to: gguf", "activations: int8", "residual=64", "fallback: false", "allow_requantize: true",
                           "dither: 3", "/a/l", "target: llama.cpp", "owl", "spread: 3", "max_bytes: 2000000"})
    EXPECT_NE(once.find(part), once.npos) << part << "\n" << once;
  for (const Preset& preset : all_presets()) {
    const std::string written = recipe_yaml(parsed(std::string(preset.yaml)));
    EXPECT_EQ(written, recipe_yaml(parsed(written))) << preset.name;
  }
}

TEST(RecipeFile, PathsAreRelativeToTheFile) {
  const test::TempFolder temp;
  std::ofstream(temp.path / "mine.yaml") << "importance: x.imatrix\n";
  EXPECT_EQ(open_recipe(temp.path / "mine.yaml").recipe.importance_file, temp.path / "x.imatrix");
  EXPECT_THROW(open_recipe(temp.path / "other.yaml"), Error);
}

TEST(Recipe, OptionsGoToTheStepsThatKnowThem) {
  const std::vector<Step> steps = steps_of("awq+gptq", {"damping=0.5", "range=minmax"});
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_TRUE(std::count(steps[1].options.begin(), steps[1].options.end(), "damping=0.5"));
  EXPECT_FALSE(std::count(steps[0].options.begin(), steps[0].options.end(), "damping=0.5"));
  EXPECT_EQ(steps_of("gptq", {"nonsense=1"})[0].options, std::vector<std::string>{"nonsense=1"});
  EXPECT_THROW(steps_of("gptq+rtn", {}), Error);
}

}  // namespace
}  // namespace pith
