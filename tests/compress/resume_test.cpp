// Runs that are killed, and runs that must not start.
#include <csignal>

#include "io/stage.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

// Kills its own process, as kill -9 would, once so many values have been written (their journal line is not).
class Killer final : public Progress {
 public:
  explicit Killer(int advances) : left_(advances) {}
  void begin(std::string_view stage, dim) override { compressing_ = stage == "compress"; }
  void advance(dim, std::string_view) override {
    if (compressing_ && --left_ == 0) raise(SIGKILL);
  }
  void end() override {}

 private:
  int left_;
  bool compressing_ = false;
};

class Counter final : public Progress {
 public:
  dim units = 0, total = 0;
  void begin(std::string_view, dim total_units) override { total = total_units, units = 0; }
  void advance(dim n, std::string_view) override { units += n, reached = std::max(reached, units); }
  void end() override {}
  dim reached = 0;
};

bool same_folders(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(a)) {
    ++files;
    if (read_file(entry.path()) != read_file(b / entry.path().filename())) return false;
  }
  return files == std::size_t(std::distance(std::filesystem::directory_iterator(b), {}));
}

}  // namespace

TEST(Resume, AfterAKillGivesTheBytesOfAnUninterruptedRun) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  const auto whole = run(source, recipe_for("q4_k"), temp.path / "whole.gguf");
  for (const int kill_at : {1, 2, 7, 13, 20}) {  // of 20 tensors
    const auto target = temp.path / fmt::format("killed{}", kill_at) / "whole.gguf";
    std::filesystem::create_directories(target.parent_path());
    const int status = in_child([&] {
      Killer killer(kill_at);
      run(source, recipe_for("q4_k"), target, {}, killer);
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << kill_at;
    EXPECT_FALSE(std::filesystem::exists(target));
    const auto resumed = run(source, recipe_for("q4_k"), target, {.max_ram_bytes = {}, .resume = true});
    EXPECT_EQ(read_file(target), read_file(temp.path / "whole.gguf")) << kill_at;
    EXPECT_EQ(resumed.output_hash, whole.output_hash);
    ASSERT_EQ(resumed.tensors.size(), whole.tensors.size());
    for (std::size_t i = 0; i < whole.tensors.size(); ++i)
      EXPECT_EQ(resumed.tensors[i].rmse, whole.tensors[i].rmse) << whole.tensors[i].name;
  }
}

TEST(Resume, AfterTwoKillsOfAFolder) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.tied = false});
  run(source, recipe_for("f16"), temp.path / "whole");
  for (const int kill_at : {5, 12}) {
    const int status = in_child([&] {
      Killer killer(kill_at);
      run(source, recipe_for("f16"), temp.path / "out", {.max_ram_bytes = {}, .resume = kill_at == 12}, killer);
    });
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  run(source, recipe_for("f16"), temp.path / "out", {.max_ram_bytes = {}, .resume = true});
  EXPECT_TRUE(same_folders(temp.path / "whole", temp.path / "out"));
}

// The model is reshaped anew, and finished blocks are replayed: the same zeros in the same order.
TEST(Resume, APrunedModelToo) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 128, .ffn = 256});
  struct Case {
    const char *chain, *pattern;
    std::optional<SparseLayout> store;
  };
  for (const Case& c : {Case{"permute+sparsegpt", "2:4", SparseLayout::two_of_four}, Case{"wanda", "4:8", {}},
                        Case{"flap+sparsegpt", "none", SparseLayout::bitmask}, Case{"depth", "", {}}}) {
    const auto folder = temp.path / c.chain;
    Recipe recipe;
    recipe.steps = steps_of(c.chain, {});
    if (*c.pattern) give_options(recipe.steps, {std::string("pattern=") + c.pattern});
    recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
    recipe.store = c.store;
    const auto container = c.store ? Container::pith : Container::hf;
    const auto to = [&](const char* name, const RunLimits& limits, Progress& progress) {
      return compress(Model::open(source), recipe, container, folder / name, limits, progress);
    };
    std::filesystem::create_directories(folder);
    to("whole", {}, no_progress());
    for (const int kill_at : {1, 12}) {
      const int status = in_child([&] {
        Killer killer(kill_at);
        to("killed", {.max_ram_bytes = {}, .resume = kill_at > 1}, killer);
      });
      ASSERT_TRUE(WIFSIGNALED(status)) << c.chain;
      EXPECT_FALSE(std::filesystem::exists(folder / "killed"));
    }
    to("killed", {.max_ram_bytes = {}, .resume = true}, no_progress());
    EXPECT_TRUE(same_folders(folder / "whole", folder / "killed")) << c.chain;
  }
}

TEST(Resume, RefusesAnotherRecipe) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  in_child([&] {
    Killer killer(5);
    run(source, recipe_for("q4_k"), temp.path / "out.gguf", {}, killer);
  });
  const RunLimits resume{.max_ram_bytes = {}, .resume = true};
  EXPECT_THROW(run(source, recipe_for("q5_k"), temp.path / "out.gguf", resume), Error);
  Recipe other = recipe_for("q4_k");
  other.steps = steps_of("rtn", {"range=best"});
  EXPECT_THROW(run(source, other, temp.path / "out.gguf", resume), Error);
}

TEST(Limits, RefusesARunThatNeedsTooMuchMemory) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  const std::string error =
      error_of([&] { run(source, recipe_for("q4_0"), temp.path / "out.gguf", {.max_ram_bytes = dim(1) << 20}); });
  EXPECT_NE(error.find("memory"), error.npos) << error;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp.path), {}), 1);  // nothing but the source
}

// A source of zeros without blocks on disk, larger than the room that is left.
TEST(Limits, RefusesARunThatNeedsTooMuchDisk) {
  const TempFolder temp;
  const dim free_bytes = Stage::free_bytes(temp.path / "out.gguf");
  GeneratedModel m{.layers = 1, .hidden = 4096, .ffn = 4096, .heads = 32, .kv_heads = 32};
  m.vocab = free_bytes / (4 * 4096) + 4096;
  if (!write_sparse_model(temp.path / "in", m)) GTEST_SKIP() << "no sparse files of " << free_bytes << " bytes here";
  const std::string error = error_of([&] { run(temp.path / "in", recipe_for("f32"), temp.path / "out.gguf"); });
  EXPECT_NE(error.find("free on the disk"), error.npos) << error;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp.path), {}), 1);
}

TEST(Limits, KeepsAnExistingTargetUnlessTold) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  std::ofstream(temp.path / "out.gguf") << "mine";
  EXPECT_THROW(run(source, recipe_for("q4_0"), temp.path / "out.gguf"), Error);
  EXPECT_EQ(read_file(temp.path / "out.gguf"), "mine");
}

TEST(Progress, CountsEveryValueOnce) {
  const TempFolder temp;
  const GeneratedModel m;
  dim values = 0;
  for (const auto& t : generated_tensors(m)) values += dim(t.values());
  Counter counter;
  run(write_model(temp.path / "in", m), recipe_for("q4_0"), temp.path / "out.gguf", {}, counter);
  EXPECT_EQ(counter.reached, values);
}

}  // namespace pith::test
