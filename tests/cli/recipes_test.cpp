// Presets, recipes and adapters on a small trained model, from the command line.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

json parsed(const std::string& arguments) {
  const Ran ran = run_pith(arguments);
  EXPECT_EQ(ran.exit_code, 0) << arguments << '\n' << ran.err;
  return json::parse(ran.out);
}

json evaluated(const std::filesystem::path& output, const std::filesystem::path& base,
               const std::filesystem::path& text) {
  return parsed("eval " + quoted(output) + " --against " + quoted(base) + " --text " + quoted(text) +
                " --protocol stories-256 --windows 2 --json")
      .at(0);
}

}  // namespace

TEST(Recipes, EveryPresetRunsAndSaysWhatTheModelAsksFor) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  PITH_NEED_DATA(calibration, "calibration/tiny.utf8");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const TempFolder folder;
  // the divergence that a preset stays below on this model
  const std::map<std::string, double> most = {
      {"kv4", 0.01},   {"w2", 2.5},           {"w3", 0.8},      {"w3-best", 0.4}, {"sparse50", 2.5}, {"sparse24", 3.5},
      {"slim20", 1.4}, {"slim20-depth", 1.1}, {"w4-best", 0.2}, {"w4-fast", 0.3}, {"w4a4kv4", 2},    {"w8a8", 0.02}};
  const json recipes = parsed("recipes --json");
  EXPECT_EQ(recipes.size(), most.size());
  for (const json& recipe : recipes) {
    const std::string name = recipe.at("name");
    const auto out = folder.path / name;
    parsed("quantize " + quoted(model) + " --recipe " + name + " --calibrate " + quoted(calibration) +
           " --calibrate-samples 6 --calibrate-length 128 --json -o " + quoted(out) +
           (name == "w2" ? " --set iterations=20" : ""));
    const json result = evaluated(out, model, text);
    EXPECT_LT(result.at("divergence").at("kl").at("mean"), most.at(name)) << name;
    const bool four = name == "w4a4kv4";
    EXPECT_EQ(result.at("model").at("kv").at("codec"), four            ? "rotated-int4"
                                                       : name == "kv4" ? "kivi:bits=4"
                                                                       : "f32")
        << name;
    EXPECT_EQ(result.at("model").at("activations"), four ? "int4" : name == "w8a8" ? "int8" : "f32") << name;
  }
}

TEST(Recipes, AFileSaysWhatTheFlagsSay) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  PITH_NEED_DATA(calibration, "calibration/tiny.utf8");
  const TempFolder folder;
  std::filesystem::copy_file(calibration, folder.path / "text.txt");
  std::ofstream(folder.path / "mine.yaml") << "steps:\n"
                                              "  - {method: gptq, options: {damping: 0.05}, format: q4_0}\n"
                                              "  - {where: ffn_down@0-1, format: q8_0}\n"
                                              "calibrate: {files: [text.txt], samples: 5, length: 64, seed: 2}\n";
  const std::string start = "quantize " + quoted(model) + " --json -o ";
  parsed(start + quoted(folder.path / "a.gguf") + " -r " + quoted(folder.path / "mine.yaml"));
  parsed(start + quoted(folder.path / "b.gguf") +
         " -m gptq --set damping=0.05 -f q4_0 --override ffn_down@0-1=q8_0 --calibrate " +
         quoted(folder.path / "text.txt") + " --calibrate-samples 5 --calibrate-length 64 --calibrate-seed 2");
  EXPECT_EQ(read_file(folder.path / "a.gguf"), read_file(folder.path / "b.gguf"));
  EXPECT_NE(run_pith("quantize " + quoted(model) + " -r nonsense").err.find("expected one of kv4"), std::string::npos);
}

TEST(Recover, TheAdapterGivesBackPartOfWhatWasLost) {
  PITH_NEED_DATA(model, "models/stories260K/hf");
  PITH_NEED_DATA(calibration, "calibration/tiny.utf8");
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  const TempFolder folder;
  const auto small = folder.path / "small.gguf", adapter = folder.path / "adapter.gguf",
             merged = folder.path / "merged.gguf";
  parsed("quantize " + quoted(model) + " -f q4_0 --override '*=q2_0' --json -o " + quoted(small));
  const json report = parsed("recover " + quoted(model) + " " + quoted(small) + " --rank 16 --calibrate " +
                             quoted(calibration) + " --calibrate-samples 6 --json -o " + quoted(adapter));
  EXPECT_EQ(report.at("rank"), 16);
  EXPECT_EQ(report.at("matrices"), 35);  // 5 blocks
  EXPECT_LT(report.at("damage_left"), 0.7);
  parsed("convert " + quoted(small) + " --lora " + quoted(adapter) + " -f f16 --json -o " + quoted(merged));
  const auto kl = [&](const std::filesystem::path& path) -> double {
    return evaluated(path, model, text).at("divergence").at("kl").at("mean");
  };
  EXPECT_LT(kl(merged), 0.7 * kl(small));
}

}  // namespace pith::test
