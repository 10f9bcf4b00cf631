// Quantization-aware training: what is learned with is what is written.
#include "tests/compress/logits.h"
#include "tests/compress/pipeline_support.h"
#include "tests/train/next_token_gradients.h"
#include "train/result.h"
#include "train/trainable.h"

namespace pith::test {

namespace {

std::vector<const Format*> linears_as(const Model& model, std::string_view format) {
  std::vector<const Format*> out(model.tensors().size());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (is_linear_matrix(model.tensors()[i])) out[i] = &format_or_throw(format);
  return out;
}

std::vector<float> logits_of_network(const Network& network) {
  Forward forward(network);
  KvCache cache(*network.config, 1, 16);
  const std::vector<Token> tokens = {5, 17, 3, 80, 41, 9, 22, 60, 11};
  const Chunk chunk = {0, tokens, 0};
  std::vector<float> out;
  forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
    out.insert(out.end(), logits, logits + rows * network.config->vocab);
  });
  return out;
}

// Gradients of all parameters, one after another.
std::vector<float> gradients(Trainable& t) {
  test::next_token_gradients(t, {{5, 17, 3, 80, 41, 9, 22}});
  std::vector<float> out;
  for (const Parameter& p : t.parameters())
    out.insert(out.end(), p.gradient.as<float>(), p.gradient.as<float>() + p.size());
  return out;
}

}  // namespace

TEST(QuantizationAware, ComputesWithWhatWillBeWritten) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 128, .ffn = 256});
  const Model model = Model::open(source);
  for (const char* format : {"int2_g64", "q4_0", "int3_g32_sym"}) {
    TrainChoice choice;
    choice.bf16 = false;
    choice.rounded = linears_as(model, format);
    Trainable trainable(model, choice);
    for (Parameter& p : trainable.parameters())  // as after some steps
      for (dim k = 0; k < p.size(); ++k) p.values.as<float>()[k] *= 1 + 0.01f * float(k % 7);
    trainable.publish();
    Recipe recipe;
    recipe.format = &format_or_throw(format);
    recipe.embed_format = &f32_format();
    compress(learned_model(model, trainable), recipe, Container::pith, temp.path / format, {});
    const std::vector<float> learned = logits_of_network(trainable.network());
    const std::vector<float> written = logits_of(Model::open(temp.path / format));
    EXPECT_LT(distance(learned, written), 1e-5 * length(learned)) << format;
    EXPECT_GT(distance(logits_of(model), written), 0.01 * length(learned)) << format;
  }
}

// Straight through: the gradients are those of a model that has the rounded values.
TEST(QuantizationAware, GradientsPassTheRounding) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {.hidden = 128, .ffn = 256});
  const Model model = Model::open(source);
  Recipe rounding;
  rounding.format = &format_or_throw("int4_g32");
  rounding.embed_format = &f32_format();
  run(source, rounding, temp.path / "rounded");
  Recipe dense;
  dense.format = &f32_format();
  dense.allow_requantize = true;
  run(temp.path / "rounded", dense, temp.path / "dense");
  const Model rounded = Model::open(temp.path / "dense");
  TrainChoice choice;
  choice.bf16 = false;
  Trainable plain(rounded, choice);
  choice.rounded = linears_as(model, "int4_g32");
  Trainable aware(model, choice);
  const std::vector<float> got = gradients(aware), expected = gradients(plain);
  ASSERT_EQ(got.size(), expected.size());
  EXPECT_LT(distance(got, expected), 1e-5 * length(expected));
  choice.rounded.clear();
  Trainable unaware(model, choice);
  EXPECT_GT(distance(gradients(unaware), expected), 1e-3 * length(expected));
}

TEST(QuantizationAware, AdaptersHaveNothingToRound) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {.hidden = 128, .ffn = 256}));
  TrainChoice choice;
  choice.what = TrainWhat::lora;
  choice.rounded = linears_as(model, "int4_g32");
  EXPECT_NE(error_of([&] { Trainable trainable(model, choice); }).find("not adapters or norms"), std::string::npos);
}

}  // namespace pith::test
