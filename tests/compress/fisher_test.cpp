// The Fisher information's diagonal against differences of the loss, and runs that use it.
#include "compress/calibrate/fisher.h"

#include <algorithm>
#include <cmath>

#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

const GeneratedModel kSmall{.layers = 2, .hidden = 64, .ffn = 96, .heads = 4, .kv_heads = 2, .vocab = 96};

// Mean of -ln p over all tokens but the first, in double from the logits on.
double loss(const Model& model, const std::vector<Token>& tokens) {
  KvCache cache(model.config(), 1, dim(tokens.size()));
  const Chunk chunk{0, tokens, 0};
  double sum = 0;
  Forward(model).run(cache, {&chunk, 1}, [&](dim first, const float* logits, dim rows) {
    const dim vocab = model.config().vocab;
    for (dim r = 0; r < rows; ++r) {
      if (first + r + 1 >= dim(tokens.size())) continue;
      double total = 0;
      for (dim v = 0; v < vocab; ++v) total += std::exp(double(logits[r * vocab + v]));
      sum += std::log(total) - double(logits[r * vocab + tokens[std::size_t(first + r + 1)]]);
    }
  });
  return sum / double(tokens.size() - 1);
}

std::size_t index_of(const Model& model, Role role, dim layer) {
  return std::size_t(model.find(role, layer) - model.tensors().data());
}

Stage stage_in(const std::filesystem::path& folder) {
  return Stage(folder / "out", Stage::Kind::folder, "test", {.resume = false, .overwrite = true});
}

}  // namespace

// The squared slopes of each sequence's loss, by moving one weight of a model written anew. Of two tokens the first
// alone has a part in the gradient.
TEST(Fisher, IsTheSumOfSquaredSlopes) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", kSmall));
  const CalibrationTokens tokens = calibration_tokens(model, {.files = {}, .samples = 3, .length = 2, .seed = 1});
  const std::pair<Role, const char*> places[] = {{Role::attn_v, "model.layers.0.self_attn.v_proj.weight"},
                                                 {Role::attn_o, "model.layers.1.self_attn.o_proj.weight"},
                                                 {Role::ffn_down, "model.layers.0.mlp.down_proj.weight"}};
  std::vector<std::size_t> tensors;
  for (std::size_t i = 0; i < model.tensors().size(); ++i)
    if (FisherDiagonal::has_gradient(model.tensors()[i])) tensors.push_back(i);
  EXPECT_EQ(tensors.size(), 14u);
  Stage stage = stage_in(temp.path);
  FisherDiagonal fisher(model, tensors, stage);
  fisher.measure(tokens, no_progress());
  for (const auto& place : places) {
    const auto& role = place.first;
    const auto& name = place.second;
    const std::size_t tensor = index_of(model, role, name[13] - '0');
    const dim cols = model.tensors()[tensor].weight.cols, row = 5;
    std::vector<float> got(static_cast<std::size_t>(cols));
    fisher.load(tensor, row, got.data());
    const dim column = std::max_element(got.begin(), got.end()) - got.begin();
    constexpr float kStep = 0x1p-6f;
    double expected = 0;
    std::vector<Model> moved;
    for (const float step : {kStep, -kStep}) {
      GeneratedModel other = kSmall;
      other.edit = [&](const std::string& t, std::vector<float>& v) {
        if (t == name) v[std::size_t(row * cols + column)] += step;
      };
      moved.push_back(Model::open(write_model(temp.path / fmt::format("{}{}", name, step > 0), other)));
    }
    for (const auto& sequence : tokens.sequences)
      expected += std::pow((loss(moved[0], sequence) - loss(moved[1], sequence)) / (2 * double(kStep)), 2);
    // logits in f32, and what is left of the third derivative
    EXPECT_NEAR(got[std::size_t(column)], expected, 0.02 * expected) << name;
  }
}

TEST(Fisher, IsNotMeasuredTwice) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", kSmall));
  const CalibrationTokens tokens = calibration_tokens(model, {.files = {}, .samples = 2, .length = 16, .seed = 1});
  const std::size_t tensor = index_of(model, Role::ffn_up, 1);
  std::vector<float> first(64), second(64);
  {
    Stage stage = stage_in(temp.path);
    FisherDiagonal fisher(model, {&tensor, 1}, stage);
    fisher.measure(tokens, no_progress());
    fisher.load(tensor, 7, first.data());
  }
  Stage again(temp.path / "out", Stage::Kind::folder, "test", {.resume = true, .overwrite = false});
  FisherDiagonal fisher(model, {&tensor, 1}, again);
  fisher.measure({}, no_progress());  // would fail: there is no text
  fisher.load(tensor, 7, second.data());
  EXPECT_EQ(first, second);
  EXPECT_NE(first, std::vector<float>(64));
}

TEST(Fisher, GivesWayToInputsInMixturesOfExperts) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 64, .ffn = 96, .experts = 4});
  std::vector<std::string> files;
  for (const char* weights : {"weights=fisher", "weights=inputs"}) {
    Recipe recipe = recipe_for("q4_0");
    recipe.steps = steps_of("squeezellm", {weights, "outliers=0"});
    recipe.calibration = CalibrationChoice{.files = {}, .samples = 2, .length = 16, .seed = 3};
    const auto target = temp.path / fmt::format("{}.gguf", weights);
    const Outcome outcome = run(source, recipe, target);
    const auto& notes = outcome.preflight.notes;
    EXPECT_EQ(std::any_of(notes.begin(), notes.end(), [](auto& n) { return n.find("gradients") != n.npos; }),
              weights == std::string("weights=fisher"));
    files.push_back(read_file(target));
  }
  EXPECT_EQ(files[0], files[1]);
}

}  // namespace pith::test
