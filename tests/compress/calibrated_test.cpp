// Whole runs of a calibrated method.
#include <csignal>

#include "compress/calibrate/calibrator.h"
#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

constexpr const char* kMethods[] = {"gptq", "awq+gptq", "awq", "squeezellm"};

Recipe calibrated(std::string_view format, const char* method = "gptq") {
  Recipe recipe = recipe_for(format);
  recipe.steps = steps_of(method, {});
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 3, .length = 16, .seed = 3};
  return recipe;
}

class KillerAtStart final : public Progress {  // of a block
 public:
  explicit KillerAtStart(std::string block) : block_(std::move(block)) {}
  void begin(std::string_view, dim) override {}
  void advance(dim, std::string_view what) override {
    if (what == block_) raise(SIGKILL);
  }
  void end() override {}

 private:
  std::string block_;
};

}  // namespace

TEST(Calibrated, SameFileForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  const int before = num_threads();
  for (const char* method : kMethods) {
    std::vector<std::string> files;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      run(source, calibrated("q4_0", method), temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
      files.push_back(read_file(temp.path / "out.gguf"));
    }
    EXPECT_EQ(files[0], files[1]) << method;
  }
  set_num_threads(before);
}

namespace {

// A run killed before the last block and resumed against one that was not.
void resume(const std::filesystem::path& folder, const std::filesystem::path& source, const Recipe& recipe,
            const std::string& name) {
  run(source, recipe, folder / name);
  const auto target = folder / "killed" / name;
  std::filesystem::create_directories(target.parent_path());
  const int status = in_child([&] {
    KillerAtStart killer("calibrating block 2");
    run(source, recipe, target, {}, killer);
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << name;
  run(source, recipe, target, {.max_ram_bytes = {}, .resume = true});
  if (std::filesystem::is_directory(target))
    EXPECT_EQ(read_file(target / "model.safetensors"), read_file(folder / name / "model.safetensors"));
  else
    EXPECT_EQ(read_file(target), read_file(folder / name));
  EXPECT_FALSE(std::filesystem::exists(target.parent_path() / ("." + name + ".pith-partial")));
}

}  // namespace

TEST(Calibrated, ResumedRunGivesTheSameBytes) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .ffn = 256, .dtype = "BF16"});
  resume(temp.path, source, calibrated("q4_0", "gptq"), "gptq.gguf");
  resume(temp.path, source, calibrated("int4_g32", "gptq"), "gptq");
  resume(temp.path, source, calibrated("q4_0", "owq"), "owq.gguf");
  resume(temp.path, source, calibrated("q4_0", "squeezellm"), "squeezellm.gguf");
  Recipe fisher = calibrated("q4_0", "squeezellm");
  fisher.steps[0].options = {"weights=fisher"};
  resume(temp.path, source, fisher, "fisher.gguf");
  resume(temp.path, source, calibrated("q4_0", "awq"), "awq.gguf");
  Recipe tuned = calibrated("q4_0", "autoround");
  tuned.steps[0].options = {"iterations=6"};
  resume(temp.path, source, tuned, "tuned.gguf");
  resume(temp.path, source, calibrated("int4_g32", "awq+gptq"), "both");  // norms in bf16
  Recipe sequential = calibrated("q4_0", "awq+gptq");
  sequential.true_sequential = true;
  resume(temp.path, source, sequential, "sequential.gguf");
}

// What o reads once q, k and v are compressed is what it reads in a model of which only these are.
TEST(Calibrated, LaterStagesSeeWhatTheCompressedMatricesGive) {
  const TempFolder temp;
  run(write_model(temp.path / "in", {}), recipe_for("f32"), temp.path / "plain.gguf");
  Recipe recipe = recipe_for("f32");
  recipe.overrides = {parse_override("attn_q|attn_k|attn_v@0=q4_0")};
  run(temp.path / "plain.gguf", recipe, temp.path / "part.gguf");
  const Model plain = Model::open(temp.path / "plain.gguf"), part = Model::open(temp.path / "part.gguf");
  const CalibrationTokens tokens = calibration_tokens(plain, {.files = {}, .samples = 3, .length = 20, .seed = 1});
  Calibrator staged(plain, tokens, {}), whole(part, tokens, {});
  whole.gather(0, no_progress());
  staged.gather(0, no_progress());
  const auto o_of = [](const Calibrator& c, const Model& m) { return c.find(*m.find(Role::attn_o, 0))->squares; };
  EXPECT_NE(o_of(staged, plain), o_of(whole, part));
  for (const Role role : {Role::attn_q, Role::attn_k, Role::attn_v}) {
    const Encoded& w = part.find(role, 0)->weight;
    const ExportTensor t{.source = std::size_t(plain.find(role, 0) - plain.tensors().data()),
                         .format = w.format,
                         .rows_from = {},
                         .slots = {}};
    staged.take(t, 0, {w.data, std::size_t(w.rows * row_bytes(*w.format, w.cols))});
  }
  staged.gather_stage(0, 1, no_progress());
  EXPECT_EQ(o_of(staged, plain), o_of(whole, part));
  EXPECT_EQ(staged.find(*plain.find(Role::ffn_up, 0)), nullptr);  // of a later stage
}

// Activations in a file instead of memory change nothing.
TEST(Calibrated, SpillGivesTheSameBytes) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  const Model model = Model::open(source);
  const CalibrationTokens tokens = calibration_tokens(model, *calibrated("q4_0").calibration);
  std::vector<std::vector<double>> squares;
  for (const dim room : {dim(1) << 30, dim(0)}) {
    Calibrator calibrator(model, tokens, {.max_ram_bytes = room, .scratch_folder = temp.path});
    calibrator.gather(0, no_progress());
    calibrator.advance(0, no_progress());  // nothing was taken: the block as it is
    calibrator.gather(1, no_progress());
    squares.push_back(calibrator.find(*model.find(Role::ffn_down, 1))->squares);
  }
  EXPECT_EQ(squares[0], squares[1]);
}

// What the calibrator sees, block by block, is what the whole forward pass shows.
TEST(Calibrated, SeesWhatTheForwardPassShows) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.tied = false});
  const Model model = Model::open(source);
  const CalibrationTokens tokens = calibration_tokens(model, {.files = {}, .samples = 3, .length = 20, .seed = 1});
  StatsCollector whole(false);
  Forward forward(model);
  KvCache cache(model.config(), 1, 20);
  for (const auto& sequence : tokens.sequences) {
    cache.clear();
    const Chunk chunk = {0, sequence, 0};
    forward.run(
        cache, {&chunk, 1}, [](dim, const float*, dim) {}, &whole);
  }
  Calibrator calibrator(model, tokens, {.with_moments = true});
  for (dim layer = 0; layer < model.config().layers; ++layer) {
    calibrator.gather(layer, no_progress());
    for (const Role role : {Role::attn_q, Role::attn_o, Role::ffn_gate, Role::ffn_down}) {
      const InputStats* stats = calibrator.find(*model.find(role, layer));
      ASSERT_TRUE(stats);
      const auto& expected = whole.find(role, layer)->squares;
      for (std::size_t c = 0; c < expected.size(); ++c) {
        ASSERT_NEAR(stats->squares[c], expected[c], 1e-5 * expected[c] + 1e-9) << role_name(role) << c;
        ASSERT_NEAR(stats->moment->at(dim(c), dim(c)), expected[c], 1e-5 * expected[c] + 1e-9);
      }
    }
    calibrator.advance(layer, no_progress());
  }
  calibrator.gather(-1, no_progress());
  const auto& expected = whole.find(Role::lm_head, -1)->squares;
  for (std::size_t c = 0; c < expected.size(); ++c)
    ASSERT_NEAR(calibrator.find(*model.find(Role::lm_head, -1))->squares[c], expected[c], 1e-5 * expected[c]);
}

TEST(Calibrated, RefusesTextWithoutOneSample) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  EXPECT_NE(error_of([&] {
              calibration_tokens(Model::open(source), {.files = {}, .samples = 0, .length = 24, .seed = 0});
            }).find("expected at least one sample of two tokens"),
            std::string::npos);
}

}  // namespace pith::test
