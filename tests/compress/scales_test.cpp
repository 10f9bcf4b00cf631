// Learning the scales of a quantized model: its codes stay, and what is learned with is what is written.
#include "formats/grid.h"
#include "model/factored.h"
#include "model/surgery/values.h"
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"
#include "tests/train/next_token_gradients.h"
#include "train/result.h"
#include "train/trainer.h"

namespace pith::test {

namespace {

const std::vector<std::vector<Token>> kText = {{5, 17, 3, 80, 41, 9, 22}};

std::filesystem::path quantized(const TempFolder& temp, const char* format) {
  const auto source = write_model(temp.path / "in", {.hidden = 128, .ffn = 256});
  Recipe recipe;
  recipe.format = &format_or_throw(format);
  recipe.embed_format = &f32_format();
  compress(Model::open(source), recipe, Container::pith, temp.path / format, {.max_ram_bytes = {}, .overwrite = true});
  return temp.path / format;
}

const Parameter& parameter_of(const Trainable& t, const Model& m, Role role) {
  for (const Parameter& p : t.parameters())
    if (m.tensors()[p.tensor].role == role && m.tensors()[p.tensor].layer == 0) return p;
  throw std::runtime_error("no such parameter");
}

}  // namespace

// By hand: with w = f c, c what the codes stand for at first, df is the sum of dw c over the group.
TEST(LearnedScales, GradientsAreThoseOfTheirGroups) {
  const TempFolder temp;
  for (const char* format : {"int2_g64", "int4_g32_sym", "q4_0"}) {
    const Model model = Model::open(quantized(temp, format));
    Recipe dense;
    dense.format = &f32_format();
    dense.allow_requantize = true;
    compress(model, dense, Container::hf, temp.path / "dense", {.max_ram_bytes = {}, .overwrite = true});
    const Model plain = Model::open(temp.path / "dense");
    Trainable all(plain, {.what = TrainWhat::full, .bf16 = false}),
        scales(model, {.what = TrainWhat::scales, .bf16 = false});
    test::next_token_gradients(all, kText);
    test::next_token_gradients(scales, kText);
    for (const Role role : {Role::attn_v, Role::ffn_down}) {
      const Parameter &dw = parameter_of(all, plain, role), &df = parameter_of(scales, model, role);
      const std::vector<float> w = decoded(*model.find(role, 0));
      const std::size_t group = w.size() / std::size_t(df.size());
      std::vector<float> expected(std::size_t(df.size())),
          got(df.gradient.as<float>(), df.gradient.as<float>() + df.size());
      for (std::size_t i = 0; i < w.size(); ++i) expected[i / group] += dw.gradient.as<float>()[i] * w[i];
      EXPECT_GT(length(expected), 0);
      EXPECT_LT(distance(got, expected), 1e-4 * length(expected)) << format << " " << role_name(role);
    }
  }
}

TEST(LearnedScales, CodesStayAndWhatIsLearnedIsWritten) {
  const TempFolder temp;
  for (const char* format : {"int2_g64", "q4_1", "int3_g64_sym"}) {
    const auto source = quantized(temp, format);
    const Model model = Model::open(source);
    Trainable trainable(model, {.what = TrainWhat::scales, .bf16 = false});
    for (Parameter& p : trainable.parameters())
      for (dim k = 0; k < p.size(); ++k) p.values.as<float>()[k] = 1 + 0.02f * float(k % 5);
    trainable.publish();
    compress(learned_model(model, trainable), {}, Container::pith, temp.path / "out",
             {.max_ram_bytes = {}, .overwrite = true});
    const Model out = Model::open(temp.path / "out");
    const ModelTensor &before = *model.find(Role::ffn_up, 1), &after = *out.find(Role::ffn_up, 1);
    ASSERT_EQ(after.weight.format->name, format);
    const Grid grid = grid_of(*after.weight.format, after.weight.cols);
    std::vector<std::uint8_t> a(std::size_t(grid.group)), b(a.size());
    bool moved = false;
    for (dim g = 0; g < after.weight.cols / grid.group; ++g) {
      const GridGroup x = read_group(*before.weight.format, grid, before.weight.data, g, a.data());
      const GridGroup y = read_group(*after.weight.format, grid, after.weight.data, g, b.data());
      EXPECT_EQ(a, b);
      EXPECT_EQ(x.zero, y.zero);
      EXPECT_EQ(x.min_bits, y.min_bits);
      moved |= x.scale_bits != y.scale_bits;
    }
    EXPECT_TRUE(moved);
    Forward forward(trainable.network());
    KvCache cache(*trainable.network().config, 1, 16);
    const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
    const std::span<const float> learned = forward.next(cache, tokens);
    const std::vector<float> all = logits_of(out);
    const std::vector<float> written(all.end() - dim(learned.size()), all.end());
    EXPECT_LT(distance({learned.begin(), learned.end()}, written), 1e-5 * length(written)) << format;
  }
}

TEST(LearnedScales, TrainingLowersTheLoss) {
  const TempFolder temp;
  const Model model = Model::open(quantized(temp, "int2_g64"));
  TrainingData data;
  data.sequences = {{kText[0], {0, 1, 1, 1, 1, 1, 1}}};
  data.hash = "text";
  Trainable trainable(model, {.what = TrainWhat::scales, .bf16 = false});
  const auto objective = cross_entropy_objective(model.config().vocab);
  TrainOptions options;
  options.choice.what = TrainWhat::scales;
  options.rate = 1e-2;
  options.steps = 12;
  options.batch = 1;
  const TrainRun run = train(model, trainable, data, *objective, options);
  EXPECT_LT(run.steps.back().loss, 0.9 * run.steps.front().loss);
}

TEST(LearnedScales, DenseModelsHaveNone) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {.hidden = 128, .ffn = 256}));
  EXPECT_NE(error_of([&] { Trainable t(model, {.what = TrainWhat::scales}); }).find("found none"), std::string::npos);
}

}  // namespace pith::test
