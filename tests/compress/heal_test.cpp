// Shrink and heal in one recipe: what was taken out is learned again, before anything is rounded.
#include "compress/calibrate/probe.h"
#include "model/factored.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe healing(const char* chain, std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of(chain, options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 8, .length = 24, .seed = 3};
  return recipe;
}

// KL(source || out), on tokens that nothing saw.
double divergence(const std::filesystem::path& source, const std::filesystem::path& out) {
  const Model before = Model::open(source), after = Model::open(out);
  const CalibrationTokens tokens =
      calibration_tokens(before, CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 9});
  return Probe(before, tokens).divergence(Network::of(after));
}

void make(const std::filesystem::path& source, const Recipe& recipe, const std::filesystem::path& target) {
  compress(Model::open(source), recipe, Container::pith, target, {.max_ram_bytes = {}, .overwrite = true});
}

}  // namespace

TEST(Heal, LearnsWhatStepsBeforeTookAway) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 128, .ffn = 256});
  struct Case {
    const char *shrink, *heal;
    std::vector<std::string> options;
  };
  for (const Case& c : {Case{"depth", "depth+heal", {"layers=1"}}, Case{"svd", "svd+heal", {"ratio=0.5"}}}) {
    make(source, healing(c.shrink, c.options), temp.path / "shrunk");
    std::vector<std::string> options = c.options;
    options.insert(options.end(), {"steps=30", "rate=1e-3"});
    make(source, healing(c.heal, options), temp.path / "healed");
    EXPECT_EQ(Model::open(temp.path / "healed").config().layers, Model::open(temp.path / "shrunk").config().layers);
    EXPECT_EQ(is_factored(Model::open(temp.path / "healed")), is_factored(Model::open(temp.path / "shrunk")));
    EXPECT_LT(divergence(source, temp.path / "healed"), 0.8 * divergence(source, temp.path / "shrunk")) << c.heal;
  }
}

TEST(Heal, RoundingFollows) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 128, .ffn = 256});
  Recipe recipe = healing("depth+heal+gptq", {"layers=1", "steps=10"});
  recipe.format = &format_or_throw("q8_0");
  make(source, recipe, temp.path / "out");
  const Model out = Model::open(temp.path / "out");
  EXPECT_EQ(out.config().layers, 2);
  EXPECT_EQ(out.find(Role::ffn_up, 1)->weight.format->name, "q8_0");
}

TEST(Heal, SameBytesForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 64, .ffn = 96});
  const int before = num_threads();
  std::vector<std::string> files;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    make(source, healing("depth+heal", {"layers=1", "steps=4"}), temp.path / "out");
    files.push_back(read_file(temp.path / "out" / "model.safetensors"));
  }
  set_num_threads(before);
  EXPECT_EQ(files[0], files[1]);
}

TEST(Heal, ComesBeforeWhatWorksOnSingleValues) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2, .hidden = 64, .ffn = 96});
  const std::string fault = error_of([&] { make(source, healing("wanda+heal", {}), temp.path / "out"); });
  EXPECT_NE(fault.find("expected it before wanda"), fault.npos) << fault;
}

}  // namespace pith::test
