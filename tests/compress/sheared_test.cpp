// Masks that are learned: their distribution by hand, their gradients by differences, and what they choose.
#include <algorithm>
#include <cmath>

#include "compress/structured/hard_concrete.h"
#include "compress/structured/masked_network.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {
namespace {

// The masks of a small model, all with values of their own.
struct Masks {
  explicit Masks(const Config& c)
      : layers(std::size_t(c.layers)),
        hidden(std::size_t(c.hidden)),
        heads(std::size_t(c.layers), std::vector<double>(std::size_t(c.kv_heads))),
        neurons(std::size_t(c.layers), std::vector<double>(std::size_t(c.ffn))) {
    Rng rng(4);
    each([&](std::vector<double>& v) {
      for (double& z : v) z = 0.5 + rng.uniform();
    });
    gradients.resize(2 + heads.size() + neurons.size());
    std::size_t at = 0;
    each([&](std::vector<double>& v) { gradients[at++].resize(v.size()); });
  }
  template <class Each>
  void each(const Each& f) {
    f(layers);
    f(hidden);
    for (auto& v : heads) f(v);
    for (auto& v : neurons) f(v);
  }
  NetworkMasks view() {
    std::size_t at = 0;
    NetworkMasks out;
    const auto next = [&](std::vector<double>& v) { return MaskRow{v, gradients[at++]}; };
    out.layers = next(layers);
    out.hidden = next(hidden);
    for (auto& v : heads) out.heads.push_back(next(v));
    for (auto& v : neurons) out.neurons.push_back(next(v));
    return out;
  }
  std::vector<double> layers, hidden;
  std::vector<std::vector<double>> heads, neurons, gradients;
};

Recipe shearing(std::vector<std::string> options) {
  Recipe recipe;
  recipe.steps = steps_of("sheared", options);
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 4, .length = 24, .seed = 3};
  return recipe;
}

const std::vector<std::vector<Token>> kText = {{5, 17, 3, 80, 41, 9, 22}, {60, 11, 2, 2, 33}};

double loss_of(MaskedNetwork& network, Masks& masks, bool with_gradients) {
  NetworkMasks view = masks.view();
  network.publish(view);
  ModelBackward backward(network.network(), 8, 2);
  const double loss = backward.run(
      kText, network.outer(), [&](dim layer) { return network.wanted(layer); },
      [&](dim layer) {
        if (with_gradients) network.done(layer, view);
      });
  if (with_gradients) network.done_all(view);
  return loss;
}

}  // namespace

// With log_alpha 0 a draw is 0 where s < 1/12, as (0 - -0.1) / 1.2: u / (1 - u) < (1/11)^(2/3) = 0.202184, u <
// 0.168180; and by symmetry it is 1 as often.
TEST(HardConcrete, ByHand) {
  EXPECT_NEAR(chance_open(0).value, 1 - 0.168178, 1e-6);
  EXPECT_EQ(draw_mask(0, 0.1681).value, 0);
  EXPECT_GT(draw_mask(0, 0.1683).value, 0);
  EXPECT_EQ(draw_mask(0, 0.8319).value, 1);
  EXPECT_LT(draw_mask(0, 0.8317).value, 1);
  EXPECT_DOUBLE_EQ(draw_mask(0, 0.5).value, 0.5);
  for (const double a : {-1.5, 0.0, 0.7}) {
    const double h = 1e-6;
    EXPECT_NEAR(draw_mask(a, 0.4).slope, (draw_mask(a + h, 0.4).value - draw_mask(a - h, 0.4).value) / (2 * h), 1e-8);
    EXPECT_NEAR(chance_open(a).slope, (chance_open(a + h).value - chance_open(a - h).value) / (2 * h), 1e-8);
  }
}

TEST(HardConcrete, DrawsAreOpenAsOftenAsIsSaid) {
  Rng rng(2);
  int open = 0;
  for (int i = 0; i < 20000; ++i) open += draw_mask(-0.8, rng.uniform()).value > 0;
  EXPECT_NEAR(open / 20000.0, chance_open(-0.8).value, 0.01);
}

// Only the multipliers act: masks close until the share is met; and a loss that likes the last quarter decides which.
TEST(MaskGroup, ClosesAsManyAsHaveToGoAndThoseThatCostLeast) {
  MaskGroup group(40, 10);
  Rng rng(1);
  for (dim step = 1; step <= 400; ++step) {
    group.draw(rng);
    for (std::size_t i = 30; i < 40; ++i) group.gradient()[i] -= 0.02;
    group.step(0.1, step, std::min(1.0, double(step) / 160));
  }
  EXPECT_NEAR(group.open_share(), 0.25, 0.05);
  const auto a = group.log_alpha();
  EXPECT_GT(*std::min_element(a.begin() + 30, a.end()), *std::max_element(a.begin(), a.begin() + 30));
}

// A tied model, whose embedding is read as the head, too: the mask is on what enters the stream alone.
TEST(MaskedNetwork, GradientsAreDifferencesOfTheLoss) {
  const TempFolder temp;
  for (const bool tied : {true, false}) {
    const Model model =
        Model::open(write_model(temp.path / (tied ? "tied" : "apart"),
                                {.layers = 2, .hidden = 32, .ffn = 48, .heads = 4, .kv_heads = 2, .tied = tied}));
    MaskedNetwork network(model, {.hidden = true, .bf16 = false});
    Masks masks(model.config());
    loss_of(network, masks, true);
    const auto gradients = masks.gradients;
    std::size_t at = 0;
    masks.each([&](std::vector<double>& v) {
      const std::vector<double>& got = gradients[at++];
      for (std::size_t i = 0; i < v.size(); i += 1 + v.size() / 5) {
        const double kept = v[i], h = 0.02;
        v[i] = kept + h;
        const double above = loss_of(network, masks, false);
        v[i] = kept - h;
        const double below = loss_of(network, masks, false);
        v[i] = kept;
        EXPECT_NEAR(got[i], (above - below) / (2 * h), 1e-5 + 0.01 * std::fabs(got[i])) << at << ' ' << i;
      }
    });
  }
}

// Neurons, heads and a block that the loss does not feel are the ones that go.
TEST(Sheared, WhatGivesNothingGoes) {
  const TempFolder temp;
  const auto source =
      write_model(temp.path / "in",
                  {.layers = 3, .hidden = 64, .ffn = 64, .edit = [](const std::string& name, std::vector<float>& v) {
                     if (name.find("embed") != name.npos) return;
                     if (name.find("layers.1") != name.npos &&
                         (name.find("o_proj") != name.npos || name.find("down_proj") != name.npos))
                       std::fill(v.begin(), v.end(), 0.0f);
                     else if (name.find("proj") != name.npos)
                       for (float& x : v) x *= 4;  // so that what is left matters
                   }});
  const std::vector<float> before = logits_of(Model::open(source));
  run(source, shearing({"layers=2", "steps=120"}), temp.path / "out");
  const Model cut = Model::open(temp.path / "out");
  EXPECT_EQ(cut.config().layers, 2);
  EXPECT_EQ(before, logits_of(cut));
}

TEST(Sheared, GivesTheShapeThatIsAskedWhateverTheThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 3, .hidden = 64, .ffn = 96});
  const int before = num_threads();
  std::vector<std::string> files;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    run(source, shearing({"hidden=48", "layers=2", "kv-heads=1", "neurons=64", "steps=12"}), temp.path / "out.gguf",
        {.max_ram_bytes = {}, .overwrite = true});
    files.push_back(read_file(temp.path / "out.gguf"));
  }
  set_num_threads(before);
  EXPECT_EQ(files[0], files[1]);
  const Config c = Model::open(temp.path / "out.gguf").config();
  EXPECT_EQ((std::vector<dim>{c.hidden, c.layers, c.heads, c.kv_heads, c.ffn}), (std::vector<dim>{48, 2, 2, 1, 64}));
}

TEST(Sheared, WhatCannotBeIsSaid) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.layers = 2, .hidden = 64, .ffn = 64});
  const auto told = [&](std::vector<std::string> options) {
    return error_of([&] { run(source, shearing(std::move(options)), temp.path / "x"); });
  };
  EXPECT_NE(told({}).find("--set neurons=48"), std::string::npos) << told({});
  EXPECT_NE(told({"neurons=65"}).find("at most the 64"), std::string::npos);
  const auto mixture = write_model(temp.path / "mixture", {.hidden = 64, .ffn = 64, .experts = 4});
  EXPECT_NE(error_of([&] { run(mixture, shearing({"layers=1"}), temp.path / "x"); }).find("mixtures"),
            std::string::npos);
}

// A trained model: better than what one pass chooses for the same shape.
TEST(Sheared, ChoosesBetterThanOnePassOnATrainedModel) {
  PITH_NEED_DATA(source, "models/stories260K/hf");
  PITH_NEED_DATA(text, "calibration/tiny.utf8");
  const TempFolder temp;
  const Model model = Model::open(source);
  const CalibrationChoice choice{.files = {text}, .samples = 64, .length = 64, .seed = 1};
  CalibrationChoice other = choice;
  other.seed = 77;
  const CalibrationTokens held = calibration_tokens(model, other);
  double loss[2] = {};
  for (const bool sheared : {false, true}) {
    Recipe recipe;
    recipe.steps = steps_of(sheared ? "sheared" : "minitron", {"neurons=96"});
    if (sheared) give_options(recipe.steps, {"steps=100"});
    recipe.calibration = choice;
    run(source, recipe, temp.path / (sheared ? "sheared" : "minitron"));
    const Model cut = Model::open(temp.path / (sheared ? "sheared" : "minitron"));
    ModelBackward backward(Network::of(cut), 64, 1);
    for (const auto& s : held.sequences)
      loss[sheared] += backward.run({&s, 1}, {}, [](dim) { return BlockGradients{}; }, {});
  }
  EXPECT_LT(loss[1], loss[0]);
}

}  // namespace pith::test
