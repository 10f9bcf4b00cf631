// Whole runs of methods that keep values apart.
#include <nlohmann/json.hpp>

#include "compress/target_profile.h"
#include "model/forward.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

Recipe apart(std::string_view format, const char* method, const char* share) {
  Recipe recipe;
  recipe.format = &format_or_throw(format);
  recipe.steps = steps_of(method, {std::string("outliers=") + share});
  recipe.calibration = CalibrationChoice{.files = {}, .samples = 3, .length = 16, .seed = 3};
  return recipe;
}

Outcome write(const std::filesystem::path& source, const Recipe& recipe, const std::filesystem::path& target,
              const RunLimits& limits = {}) {
  return compress(Model::open(source), recipe, target.extension() == ".gguf" ? Container::gguf : Container::pith,
                  target, limits);
}

std::vector<float> values_of(const Model& m, Role role, dim layer) {
  const ModelTensor& t = *m.find(role, layer);
  std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
  for (dim r = 0; r < t.weight.rows; ++r) decode_row(t, r, out.data() + r * t.weight.cols);
  return out;
}

std::filesystem::path planted(const TempFolder& temp) {
  GeneratedModel m;
  m.edit = [](const std::string& name, std::vector<float>& values) {
    if (name.ends_with("up_proj.weight"))
      for (std::size_t i = 100; i < values.size(); i += 256) values[i] = 3;  // 30 times the largest other
  };
  return write_model(temp.path / "in", m);
}

}  // namespace

TEST(Outliers, AreWrittenReadAndCounted) {
  const TempFolder temp;
  const auto source = planted(temp);
  for (const char* name : {"out", "out.gguf"}) {
    const Recipe recipe = apart(name == std::string("out") ? "kmeans3_row" : "q4_0", "squeezellm", "0.8");
    const Outcome outcome = write(source, recipe, temp.path / name);
    const Model m = Model::open(temp.path / name);
    const ModelTensor& up = *m.find(Role::ffn_up, 1);
    ASSERT_TRUE(up.outliers) << name;
    EXPECT_EQ(up.outliers->values.cols, 2);  // of 256 columns
    // What its code leaves of 3 is between 2 and 4, where float16 has steps of 2^-9.
    EXPECT_NEAR(values_of(m, Role::ffn_up, 1)[100], 3.0f, 0x1p-10f);
    dim stated = 0;
    for (const TensorOutcome& t : outcome.tensors)
      if (t.role == Role::ffn_up && t.layer == 1) stated = t.bytes;
    EXPECT_EQ(stated, 512 * row_bytes(*recipe.format, 256) + 512 * 2 * (2 + 2)) << name;
    EXPECT_EQ(bytes_of(up), stated);
    EXPECT_EQ(outcome.output_bytes, outcome.preflight.output_bytes);
    EXPECT_FALSE(m.find(Role::embed, -1)->outliers);
  }
}

TEST(Outliers, TheForwardPassAddsThem) {
  const TempFolder temp;
  const auto source = planted(temp);
  write(source, apart("q4_0", "squeezellm", "1.2"), temp.path / "a.gguf");
  Recipe dense;
  dense.format = &f32_format();
  compress(Model::open(temp.path / "a.gguf"), dense, Container::gguf, temp.path / "b.gguf", {});
  const Model a = Model::open(temp.path / "a.gguf"), b = Model::open(temp.path / "b.gguf");
  EXPECT_FALSE(b.find(Role::ffn_up, 0)->outliers);
  EXPECT_EQ(values_of(a, Role::ffn_up, 0), values_of(b, Role::ffn_up, 0));
  const std::vector<Token> tokens = {1, 5, 9, 33, 60, 2, 7, 8, 10, 11, 12};
  std::vector<std::vector<float>> logits;
  for (const Model* m : {&a, &b}) {
    Forward forward(*m);
    KvCache cache(m->config(), 1, 16);
    const Chunk chunk = {0, tokens, 0};
    auto& out = logits.emplace_back();
    forward.run(cache, {&chunk, 1},
                [&](dim, const float* l, dim rows) { out.insert(out.end(), l, l + rows * m->config().vocab); });
  }
  EXPECT_EQ(logits[0], logits[1]);
}

TEST(Outliers, ConversionsWithoutAFormatWidenThem) {
  const TempFolder temp;
  write(planted(temp), apart("kmeans4_row", "owq", "1"), temp.path / "a");
  compress(Model::open(temp.path / "a"), {}, Container::hf, temp.path / "b", {});
  const Model a = Model::open(temp.path / "a"), b = Model::open(temp.path / "b");
  EXPECT_TRUE(a.find(Role::ffn_up, 0)->outliers->shared);
  EXPECT_EQ(b.find(Role::ffn_up, 0)->weight.format, &f16_format());
  const auto x = values_of(a, Role::ffn_up, 0), y = values_of(b, Role::ffn_up, 0);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 0x1p-11f * std::fabs(x[i]) + 1e-7f);
}

TEST(Outliers, OnlyContainersThatOthersCannotMisread) {
  const TempFolder temp;
  const Model m = Model::open(planted(temp));
  const auto fault = [&](const Recipe& recipe, Container c) {
    return error_of([&] { preflight(m, recipe, c, temp.path / "x"); });
  };
  EXPECT_NE(fault(apart("int4_g32", "squeezellm", "1"), Container::hf).find("use --to pith"), std::string::npos);
  EXPECT_EQ(fault(apart("int4_g32", "squeezellm", "0"), Container::hf), "");
  Recipe aimed = apart("q4_0", "owq", "1");
  aimed.target = &target_or_throw("llama.cpp");
  EXPECT_NE(fault(aimed, Container::gguf).find("outliers apart, which only pith reads"), std::string::npos);
  Recipe budget = apart("q4_0", "owq", "1");
  budget.max_bytes = 1 << 20;
  EXPECT_NE(fault(budget, Container::gguf).find("no outliers apart beside a budget"), std::string::npos);
}

TEST(Outliers, SameFileForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = planted(temp);
  const int before = num_threads();
  for (const char* method : {"squeezellm", "owq"}) {
    std::vector<std::string> files;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      write(source, apart("q4_0", method, "1"), temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
      files.push_back(read_file(temp.path / "out.gguf"));
    }
    EXPECT_EQ(files[0], files[1]) << method;
  }
  set_num_threads(before);
}

}  // namespace pith::test
