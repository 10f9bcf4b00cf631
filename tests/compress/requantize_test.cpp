// Sources that are quantized already: refused, copied as they are, or widened.
#include <cmath>

#include "core/half.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

std::filesystem::path quantized_source(const TempFolder& temp, std::string_view format) {
  Recipe recipe = recipe_for(format);
  recipe.embed_format = recipe.format;
  run(write_model(temp.path / "in", {}), recipe, temp.path / "quantized.gguf");
  return temp.path / "quantized.gguf";
}

std::string bytes_of(const GgufFile& file, std::string_view name) {
  const GgufTensor* t = file.find(name);
  return t ? std::string(reinterpret_cast<const char*>(file.data(*t)), std::size_t(t->size_bytes)) : "absent";
}

}  // namespace

TEST(Requantize, IsRefusedWithAHint) {
  const TempFolder temp;
  const auto source = quantized_source(temp, "q8_0");
  Recipe recipe = recipe_for("q4_0");
  const std::string error = error_of([&] { run(source, recipe, temp.path / "out.gguf"); });
  EXPECT_NE(error.find("blk.0.ffn_up.weight from q8_0 to q4_0"), error.npos) << error;
  EXPECT_NE(error.find("hint"), error.npos) << error;
  recipe.allow_requantize = true;
  EXPECT_NO_THROW(run(source, recipe, temp.path / "out.gguf"));
  EXPECT_EQ(gguf_format(GgufFile(temp.path / "out.gguf"), "blk.0.ffn_up.weight"), "q4_0");
}

TEST(Requantize, EqualFormatsAreCopiedByteForByte) {
  const TempFolder temp;
  const auto source = quantized_source(temp, "q4_0");
  Recipe recipe = recipe_for("q4_0");
  recipe.steps = steps_of("rtn", {"range=best"});  // would choose other codes
  recipe.embed_format = recipe.format;
  const Outcome outcome = run(source, recipe, temp.path / "out.gguf");
  const GgufFile before(source), after(temp.path / "out.gguf");
  for (const GgufTensor& t : before.tensors()) EXPECT_EQ(bytes_of(before, t.name), bytes_of(after, t.name)) << t.name;
  for (const TensorOutcome& t : outcome.tensors) EXPECT_EQ(t.rmse, 0) << t.name;
}

TEST(Requantize, WideningIsAlwaysAllowed) {
  const TempFolder temp;
  run(quantized_source(temp, "q4_0"), recipe_for("f32"), temp.path / "out.gguf");
  const GgufFile before(temp.path / "quantized.gguf"), after(temp.path / "out.gguf");
  for (const char* name : {"token_embd.weight", "blk.0.attn_q.weight", "blk.1.ffn_down.weight"})
    EXPECT_EQ(gguf_values(before, name), gguf_values(after, name)) << name;
}

TEST(Requantize, DitherStaysWithinHalfAStep) {
  const TempFolder temp;
  const auto source = quantized_source(temp, "q4_0");
  Recipe recipe = recipe_for("f32");
  recipe.dither = {.on = true, .seed = 11};
  const Outcome outcome = run(source, recipe, temp.path / "out.gguf");
  const GgufFile before(source), after(temp.path / "out.gguf");
  const auto plain = gguf_values(before, "blk.1.ffn_up.weight"), noisy = gguf_values(after, "blk.1.ffn_up.weight");
  const std::string blocks = bytes_of(before, "blk.1.ffn_up.weight");
  double square = 0, steps = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    std::uint16_t scale;  // the first two bytes of a block of 18
    std::memcpy(&scale, &blocks[i / 32 * 18], 2);
    const float step = std::fabs(f16_to_f32(scale)), noise = noisy[i] - plain[i];
    ASSERT_LE(std::fabs(noise), step * 0.5f * 1.0001f) << i;
    square += double(noise) * noise;
    steps += double(step) * step;
  }
  EXPECT_NEAR(square / steps, 1.0 / 12, 0.002);  // the variance of uniform noise one step wide
  for (const TensorOutcome& t : outcome.tensors)
    if (t.role == Role::ffn_up && t.layer == 1) {
      EXPECT_NEAR(t.rmse, std::sqrt(square / double(plain.size())), 1e-7);
    }
  EXPECT_EQ(gguf_values(before, "output_norm.weight"), gguf_values(after, "output_norm.weight"));
}

TEST(Requantize, DitherIsTheSameForAnyNumberOfThreadsAndOtherForAnotherSeed) {
  const TempFolder temp;
  const auto source = quantized_source(temp, "q4_k");
  const int before = num_threads();
  const auto out = [&](int threads, std::uint64_t seed) {
    set_num_threads(threads);
    Recipe recipe = recipe_for("f16");
    recipe.dither = {.on = true, .seed = seed};
    return run(source, recipe, temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true}).output_hash;
  };
  const std::string one = out(1, 5);
  EXPECT_EQ(out(7, 5), one);
  EXPECT_NE(out(2, 6), one);
  set_num_threads(before);
}

TEST(Requantize, DitherOfADenseSourceIsAMistake) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  Recipe recipe = recipe_for("f16");
  recipe.dither.on = true;
  EXPECT_THROW(run(source, recipe, temp.path / "out.gguf"), Error);
}

}  // namespace pith::test
