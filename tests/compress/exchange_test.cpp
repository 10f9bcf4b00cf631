// From one kind of checkpoint to another: exact where the grids allow it.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

std::filesystem::path converted(const std::filesystem::path& source, Container container,
                                const std::filesystem::path& target, const char* format = nullptr,
                                bool requantize = false) {
  Recipe recipe;
  if (format) recipe.format = &format_or_throw(format);
  recipe.allow_requantize = requantize;
  compress(Model::open(source), recipe, container, target, {.max_ram_bytes = {}, .overwrite = true, .resume = false});
  return target;
}

std::vector<float> values_of(const std::filesystem::path& path, Role role, dim layer) {
  const Model m = Model::open(path);
  const ModelTensor* t = m.find(role, layer);
  std::vector<float> out(std::size_t(t->weight.rows * t->weight.cols));
  const dim bytes = row_bytes(*t->weight.format, t->weight.cols);
  for (dim r = 0; r < t->weight.rows; ++r)
    t->weight.format->decode(*t->weight.format, t->weight.data + r * bytes, t->weight.cols,
                             out.data() + r * t->weight.cols);
  return out;
}

std::string format_of(const std::filesystem::path& path, Role role) {
  return std::string(Model::open(path).find(role, 0)->weight.format->name);
}

}  // namespace

TEST(Exchange, RoundsTripsKeepEveryByte) {
  const TempFolder temp;
  Recipe recipe = recipe_for("q4_0");
  recipe.embed_format = &f16_format();
  run(write_model(temp.path / "in", {}), recipe, temp.path / "first.gguf");
  auto at = temp.path / "first.gguf";
  int step = 0;
  for (const Container c : {Container::hf, Container::gptq, Container::hf, Container::gguf})
    at = converted(at, c, temp.path / (std::to_string(step++) + (c == Container::gguf ? ".gguf" : "")));
  EXPECT_EQ(format_of(temp.path / "1", Role::ffn_up), "int4_g32_sym");
  const GgufFile before(temp.path / "first.gguf"), after(at);
  for (const GgufTensor& t : before.tensors()) {
    if (t.type != 2) continue;
    const GgufTensor* same = after.find(t.name);
    ASSERT_TRUE(same && same->size_bytes == t.size_bytes) << t.name;
    EXPECT_TRUE(std::equal(before.data(t), before.data(t) + t.size_bytes, after.data(*same))) << t.name;
  }
}

TEST(Exchange, ZeroPointsReachGgufWithoutLoss) {
  const TempFolder temp;
  const Model source = Model::open(write_model(temp.path / "in", {}));
  compress(source, recipe_for("int4_g32"), Container::awq, temp.path / "awq", {});
  converted(temp.path / "awq", Container::gguf, temp.path / "m.gguf");
  EXPECT_EQ(format_of(temp.path / "m.gguf", Role::ffn_up), "q5_0");
  converted(temp.path / "awq", Container::mlx, temp.path / "mlx");
  EXPECT_EQ(format_of(temp.path / "mlx", Role::ffn_up), "affine5_g32");
  converted(temp.path / "awq", Container::gptq, temp.path / "gptq");
  EXPECT_EQ(format_of(temp.path / "gptq", Role::ffn_up), "int4_g32");
  for (const char* other : {"m.gguf", "mlx", "gptq"})
    EXPECT_EQ(values_of(temp.path / other, Role::ffn_up, 0), values_of(temp.path / "awq", Role::ffn_up, 0)) << other;
}

TEST(Exchange, WhatHasNoExactPlaceIsAsked) {
  const TempFolder temp;
  const Model source = Model::open(write_model(temp.path / "in", {.hidden = 256, .ffn = 256}));
  compress(source, recipe_for("q6_k"), Container::gguf, temp.path / "m.gguf", {});
  const std::string error = error_of([&] { converted(temp.path / "m.gguf", Container::gptq, temp.path / "gptq"); });
  EXPECT_NE(error.find("q6_k has no place in gptq"), error.npos) << error;
  EXPECT_NE(error.find("--allow-requantize"), error.npos) << error;
  EXPECT_NE(error_of([&] { converted(temp.path / "m.gguf", Container::gptq, temp.path / "gptq", "int4_g128"); }), "");
  converted(temp.path / "m.gguf", Container::gptq, temp.path / "gptq", "int4_g128", true);
  EXPECT_EQ(format_of(temp.path / "gptq", Role::ffn_up), "int4_g128");
}

TEST(Exchange, ADenseModelStaysAsItIs) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  converted(source, Container::hf, temp.path / "out");
  EXPECT_EQ(format_of(temp.path / "out", Role::ffn_up), format_of(source, Role::ffn_up));
  EXPECT_EQ(values_of(temp.path / "out", Role::attn_q, 0), values_of(source, Role::attn_q, 0));
}

}  // namespace pith::test
