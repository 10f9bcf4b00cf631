// Each format through the containers that can hold it: written, verified by reopening, and read back here.
#include <cmath>

#include "compress/policy.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

// The decoded rows of a tensor of any opened model against what was generated.
double relative_error(const Model& model, Role role, const std::vector<float>& source) {
  const ModelTensor* t = model.find(role, 0);
  if (!t) return NAN;
  const Encoded& w = t->weight;
  std::vector<float> row(std::size_t(w.cols));
  double error = 0, square = 0;
  for (dim r = 0; r < w.rows; ++r) {
    w.format->decode(*w.format, w.data + r * row_bytes(*w.format, w.cols), w.cols, row.data());
    for (dim c = 0; c < w.cols; ++c) {
      const double x = source[std::size_t(r * w.cols + c)];
      error += (x - row[std::size_t(c)]) * (x - row[std::size_t(c)]);
      square += x * x;
    }
  }
  return std::sqrt(error / square);
}

// What so many bits leave of roughly normal values, generously.
double most_error(const Format& f) {
  const double bits = bits_per_weight(f, 256);
  if (bits >= 16) return 0.003;
  if (f.name.starts_with("fp8")) return 0.04;  // three bits of mantissa
  if (bits >= 8) return 0.02;
  if (bits >= 5) return 0.08;
  if (bits >= 4) return 0.16;
  return bits >= 3 ? 0.35 : 0.9;
}

void expect_written(const GeneratedModel& m, const std::filesystem::path& source, const Format& f,
                    Container container) {
  const TempFolder temp;
  const auto target = temp.path / (container == Container::gguf ? "out.gguf" : "out");
  Recipe recipe = recipe_for(f.name);
  recipe.steps = {};
  compress(Model::open(source), recipe, container, target, {});
  const Model written = Model::open(target);
  EXPECT_EQ(written.find(Role::ffn_down, 0)->weight.format, &f) << f.name;
  for (const auto& t : generated_tensors(m))
    if (t.name == "model.layers.0.mlp.down_proj.weight") {
      const double error = relative_error(written, Role::ffn_down, generated_values(m, t));
      EXPECT_LT(error, most_error(f)) << f.name;
      EXPECT_TRUE(error > 0 || &f == &f32_format()) << f.name;
    }
}

}  // namespace

TEST(EveryFormat, SurvivesTheExporters) {
  const TempFolder temp;
  const GeneratedModel m{.layers = 1, .hidden = 256, .ffn = 256, .vocab = 32};
  const auto source = write_model(temp.path / "in", m);
  int runs = 0;
  for (const Format* f : all_formats()) {
    for (const Container c : {Container::gguf, Container::hf, Container::gptq, Container::awq, Container::mlx})
      if (misfit(c, *f, *Model::open(source).find(Role::ffn_down, 0)).empty()) expect_written(m, source, *f, c), ++runs;
  }
  EXPECT_GT(runs, 100);
}

TEST(EveryFormat, IntegerGroupsLeaveTheEmbeddingDense) {
  const TempFolder temp;
  const GeneratedModel m{.layers = 1, .tied = false, .dtype = "BF16"};
  Recipe recipe = recipe_for("int4_g128");
  recipe.overrides.push_back(parse_override("lm_head|attn_v=int8_g64_sym"));
  run(write_model(temp.path / "in", m), recipe, temp.path / "out");
  const Model written = Model::open(temp.path / "out");
  EXPECT_EQ(written.find(Role::embed, -1)->weight.format->name, "bf16");
  EXPECT_EQ(written.find(Role::lm_head, -1)->weight.format->name, "int8_g64_sym");
  EXPECT_EQ(written.find(Role::attn_v, 0)->weight.format->name, "int8_g64_sym");
  EXPECT_EQ(written.find(Role::attn_q, 0)->weight.format->name, "int4_g128");
  recipe.embed_format = &format_or_throw("int8_g128");
  EXPECT_NE(error_of([&] { run(temp.path / "in", recipe, temp.path / "other"); }).find("embed_tokens"),
            std::string::npos);
}

}  // namespace pith::test
