#include "compress/pipeline.h"

#include <cmath>
#include <limits>

#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

// q8_0 with plain ranges: each value within half of its block's largest / 127 (and the scale's rounding to f16).
void expect_q8_0_of(const std::vector<float>& source, const std::vector<float>& stored) {
  ASSERT_EQ(source.size(), stored.size());
  for (std::size_t block = 0; block < source.size(); block += 32) {
    float largest = 0;
    for (std::size_t i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(source[block + i]));
    for (std::size_t i = block; i < block + 32; ++i)
      ASSERT_NEAR(stored[i], source[i], largest / 127 * 0.5f + largest * 1e-3f) << i;
  }
}

std::vector<float> source_values(const GeneratedModel& m, const std::string& name) {
  for (const auto& t : generated_tensors(m))
    if (t.name == name) return generated_values(m, t);
  ADD_FAILURE() << name;
  return {};
}

}  // namespace

TEST(Pipeline, StoresEveryTensorWithinHalfAStep) {
  const TempFolder temp;
  const GeneratedModel m;
  const Outcome outcome = run(write_model(temp.path / "in", m), recipe_for("q8_0"), temp.path / "out.gguf");
  const GgufFile file(temp.path / "out.gguf");
  expect_q8_0_of(source_values(m, "model.embed_tokens.weight"), gguf_values(file, "token_embd.weight"));
  expect_q8_0_of(source_values(m, "model.layers.1.mlp.down_proj.weight"), gguf_values(file, "blk.1.ffn_down.weight"));
  expect_q8_0_of(source_values(m, "model.layers.0.self_attn.v_proj.weight"), gguf_values(file, "blk.0.attn_v.weight"));
  EXPECT_EQ(source_values(m, "model.norm.weight"), gguf_values(file, "output_norm.weight"));
  EXPECT_EQ(file.find("output.weight"), nullptr);  // tied: stored once
  EXPECT_EQ(outcome.output_bytes, dim(std::filesystem::file_size(temp.path / "out.gguf")));
  EXPECT_EQ(outcome.output_bytes, outcome.preflight.output_bytes);
}

TEST(Pipeline, PermutesRopeRows) {
  const TempFolder temp;
  const GeneratedModel m;  // 4 heads of 64 rows
  run(write_model(temp.path / "in", m), recipe_for("f32"), temp.path / "out.gguf");
  const auto source = source_values(m, "model.layers.0.self_attn.q_proj.weight");
  const auto stored = gguf_values(GgufFile(temp.path / "out.gguf"), "blk.0.attn_q.weight");
  for (std::size_t head = 0; head < 4; ++head)
    for (std::size_t half = 0; half < 2; ++half)
      for (std::size_t j = 0; j < 32; ++j)
        for (std::size_t c = 0; c < 256; ++c)
          ASSERT_EQ(stored[(head * 64 + 2 * j + half) * 256 + c], source[(head * 64 + half * 32 + j) * 256 + c]);
}

TEST(Pipeline, StatedErrorsAreThoseOfTheFile) {
  const TempFolder temp;
  const GeneratedModel m;
  const Outcome outcome = run(write_model(temp.path / "in", m), recipe_for("q4_0"), temp.path / "out.gguf");
  const auto source = source_values(m, "model.layers.1.mlp.up_proj.weight");
  const auto stored = gguf_values(GgufFile(temp.path / "out.gguf"), "blk.1.ffn_up.weight");
  double error = 0, square = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    error += (double(source[i]) - stored[i]) * (double(source[i]) - stored[i]);
    square += double(source[i]) * source[i];
  }
  int seen = 0;
  for (const TensorOutcome& t : outcome.tensors) {
    if (t.role != Role::ffn_up || t.layer != 1) continue;
    ++seen;
    EXPECT_NEAR(t.rmse, std::sqrt(error / double(source.size())), 1e-9);
    EXPECT_NEAR(t.relative_error, std::sqrt(error / square), 1e-9);
    EXPECT_NEAR(t.sqnr_db, 10 * std::log10(square / error), 1e-6);
    EXPECT_GT(t.relative_error, 0.03);  // 4 bits lose something
    EXPECT_EQ(t.bytes, 512 * 256 / 32 * 18);
  }
  EXPECT_EQ(seen, 1);
}

TEST(Pipeline, SameFileForAnyNumberOfThreads) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  Recipe recipe = recipe_for("q4_k");
  recipe.steps = {};
  const int before = num_threads();
  std::vector<std::string> files, hashes;
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    hashes.push_back(run(source, recipe, temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true}).output_hash);
    files.push_back(read_file(temp.path / "out.gguf"));
  }
  set_num_threads(before);
  EXPECT_EQ(files[0], files[1]);
  EXPECT_EQ(files[0], files[2]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

TEST(Pipeline, PanelsOfALargeEmbeddingJoin) {
  const TempFolder temp;
  GeneratedModel m{.layers = 1, .vocab = 70000, .dtype = "BF16"};  // 17.9 million values: two panels of 64 MiB
  m.edit = [](const std::string& name, std::vector<float>& values) {
    if (name != "model.embed_tokens.weight") return;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = float(i / 256 % 251) - 125;  // exact in bf16 and q8_0
  };
  run(write_model(temp.path / "in", m), recipe_for("q8_0"), temp.path / "out.gguf");
  const auto stored = gguf_values(GgufFile(temp.path / "out.gguf"), "token_embd.weight");
  ASSERT_EQ(stored.size(), std::size_t(70000 * 256));
  for (const std::size_t row : {0u, 65534u, 65535u, 65536u, 65537u, 69999u}) {
    const float expected = float(row % 251) - 125;
    ASSERT_NEAR(stored[row * 256 + 3], expected, std::fabs(expected) * 1e-3f) << row;
  }
}

TEST(Pipeline, RefusesWeightsThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const TempFolder temp;
    GeneratedModel m;
    m.edit = [&](const std::string& name, std::vector<float>& values) {
      if (name == "model.layers.1.mlp.gate_proj.weight") values[3 * 256 + 17] = bad;
    };
    const auto source = write_model(temp.path / "in", m);
    const std::string error = error_of([&] { run(source, recipe_for("q4_0"), temp.path / "out.gguf"); });
    EXPECT_NE(error.find("model.layers.1.mlp.gate_proj.weight"), error.npos) << error;
    EXPECT_NE(error.find("row 3, column 17"), error.npos) << error;
    EXPECT_FALSE(std::filesystem::exists(temp.path / "out.gguf"));
  }
}

TEST(Pipeline, RefusesValuesThatOverflowTheTarget) {
  const TempFolder temp;
  GeneratedModel m{.dtype = "BF16"};
  m.edit = [](const std::string& name, std::vector<float>& values) {
    if (name == "model.layers.0.mlp.up_proj.weight") values[5] = 131072;  // f16 ends at 65504
  };
  const auto source = write_model(temp.path / "in", m);
  const std::string error = error_of([&] { run(source, recipe_for("f16"), temp.path / "out.gguf"); });
  EXPECT_NE(error.find("model.layers.0.mlp.up_proj.weight"), error.npos) << error;
  EXPECT_NO_THROW(run(source, recipe_for("bf16"), temp.path / "out.gguf"));
}

TEST(Pipeline, WritesHuggingFaceFolders) {
  const TempFolder temp;
  const GeneratedModel m{.tied = false};
  run(write_model(temp.path / "in", m), recipe_for("bf16"), temp.path / "out");
  const auto written = SafetensorsSet::open(temp.path / "out");
  const SafeTensor* t = written.find("model.layers.0.mlp.down_proj.weight");
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->dtype, "BF16");
  const auto source = source_values(m, "model.layers.0.mlp.down_proj.weight");
  const auto* stored = reinterpret_cast<const std::uint16_t*>(written.data(*t));
  for (std::size_t i = 0; i < source.size(); ++i) {
    std::uint32_t bits = std::uint32_t(stored[i]) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    ASSERT_NEAR(value, source[i], std::fabs(source[i]) / 256) << i;
  }
  EXPECT_EQ(written.find("model.norm.weight")->dtype, "F32");  // as in the source
  EXPECT_NE(written.find("lm_head.weight"), nullptr);
}

}  // namespace pith::test
