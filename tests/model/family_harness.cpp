#include "tests/model/family_harness.h"

#include <algorithm>
#include <cmath>

#include "model/arch.h"
#include "model/forward.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith::test {

namespace {

using nlohmann::json;

std::uint64_t mix(std::uint64_t u) {
  u = (u ^ (u >> 30)) * 0xBF58476D1CE4E5B9u;
  u = (u ^ (u >> 27)) * 0x94D049BB133111EBu;
  return u ^ (u >> 31);
}

std::vector<float> values_of(const json& vectors, const std::string& name) {
  const json& rule = vectors["tensors"][name];
  dim count = 1;
  for (const dim d : rule["shape"]) count *= d;
  return hashed_values(name, count, rule["center"], rule["spread"]);
}

// (tokens, vocab)
std::vector<std::vector<float>> logits_of(const Model& model, const std::vector<Token>& tokens, dim at_once) {
  KvCache cache(model.config(), 1, dim(tokens.size()));
  Forward forward(model);
  std::vector<std::vector<float>> out;
  for (dim done = 0; done < dim(tokens.size()); done += at_once) {
    const dim count = std::min(at_once, dim(tokens.size()) - done);
    const Chunk chunk{0, std::span(tokens).subspan(std::size_t(done), std::size_t(count)), 0};
    forward.run(cache, {&chunk, 1}, [&](dim, const float* logits, dim rows) {
      for (dim r = 0; r < rows; ++r, logits += model.config().vocab)
        out.emplace_back(logits, logits + model.config().vocab);
    });
  }
  return out;
}

std::vector<const Format*> f32_tensors_for(const Model& model, Container container) {
  return formats_for(model, [&](const ModelTensor& t) {
    const bool in_config = container == Container::hf && model.is_gguf() && t.part == Part::weight &&
                           role_name(t.role).starts_with("rope_");  // config.json says it
    return in_config ? nullptr : &f32_format();
  });
}

// GPT-2's matrices are stored (in, out).
bool is_conv1d(const Model& model, const ModelTensor& t) {
  return model.config().arch == "gpt2" && !t.vector && is_linear(t.role);
}

// (rows, cols) -> (cols, rows)
std::vector<float> turned(const std::vector<float>& values, dim rows, dim cols) {
  std::vector<float> out(values.size());
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < cols; ++c) out[std::size_t(c * rows + r)] = values[std::size_t(r * cols + c)];
  return out;
}

Model exported(const Model& model, Container container, const std::filesystem::path& folder) {
  const auto plan = plan_export(model, container, f32_tensors_for(model, container), "m.gguf");
  return Model::open(write_plan(model, plan, folder));
}

}  // namespace

json family_vectors(const std::string& name) {
  const auto path = std::filesystem::path(PITH_SOURCE_DIR) / "tests/model/families" / (name + ".json");
  return json::parse(read_file(path));
}

std::vector<float> hashed_values(const std::string& name, dim count, double center, double spread) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint64_t u = mix(hash + (i + 1) * 0x9E3779B97F4A7C15u);
    out[i] = float(center + spread * ((double(u >> 52) - 2048) / 2048));
  }
  return out;
}

std::filesystem::path write_family(const json& vectors, const std::filesystem::path& folder, const std::string& cut) {
  WrittenModel written;
  written.config = vectors["config"];
  written.tensors.clear();
  for (const auto& [name, rule] : vectors["tensors"].items()) {
    const auto values = values_of(vectors, name);
    written.tensors.push_back({name.starts_with(cut) ? name.substr(cut.size()) : name, rule["shape"], "F32",
                               std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4)});
  }
  return written.write(folder);
}

void expect_golden_logits(const Model& model, const json& vectors, const std::string& what) {
  const std::vector<Token> tokens = vectors["tokens"];
  const std::vector<std::vector<float>> golden = vectors["logits"];
  float scale = 0;
  for (const auto& row : golden)
    for (const float v : row) scale = std::max(scale, std::abs(v));
  for (const dim at_once : {dim(tokens.size()), dim(1)}) {
    const auto logits = logits_of(model, tokens, at_once);
    ASSERT_EQ(logits.size(), tokens.size()) << what;
    for (std::size_t i = 0; i < golden.size(); ++i) {
      const std::size_t position = vectors["positions"][i];
      ASSERT_EQ(logits[position].size(), golden[i].size()) << what;
      float worst = 0;
      for (std::size_t v = 0; v < golden[i].size(); ++v)
        worst = std::max(worst, std::abs(logits[position][v] - golden[i][v]));
      EXPECT_LE(worst, 1e-4f * scale) << what << ": position " << position << ", " << at_once << " at once";
    }
  }
}

void expect_golden_tensors(const Model& model, const json& vectors) {
  EXPECT_EQ(model.tensors().size(), vectors["tensors"].size());
  for (const ModelTensor& t : model.tensors()) {
    ASSERT_TRUE(vectors["tensors"].contains(t.name)) << t.name;
    const auto stored = vectors["tensors"][t.name]["shape"].get<std::vector<dim>>();
    auto values = values_of(vectors, t.name);
    if (is_conv1d(model, t)) {
      EXPECT_EQ(t.shape, (std::vector<dim>{stored.at(1), stored.at(0)})) << t.name;
      values = turned(values, stored[0], stored[1]);
    } else {
      EXPECT_EQ(t.shape, stored) << t.name;
    }
    EXPECT_TRUE(decoded(t) == values) << t.name;
  }
}

void check_family(const std::string& name) {
  const json vectors = family_vectors(name);
  const TempFolder out;
  const Model hf = Model::open(write_family(vectors, out.path / "hf"));
  expect_golden_logits(hf, vectors, name);
  for (const ModelTensor& t : hf.tensors()) EXPECT_NE(t.role, Role::other) << t.name;

  const Model gguf = exported(hf, Container::gguf, out.path / "gguf");
  EXPECT_EQ(gguf.arch().name, hf.arch().name);
  expect_golden_logits(gguf, vectors, name + " as GGUF");

  const Model back = exported(gguf, Container::hf, out.path / "back");
  expect_golden_logits(back, vectors, name + " back from GGUF");
  expect_golden_tensors(back, vectors);
}

}  // namespace pith::test
