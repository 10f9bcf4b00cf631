#include <cmath>
#include <cstring>
#include <map>

#include "core/error.h"
#include "formats/format.h"
#include "model/export.h"
#include "model/forward.h"
#include "tests/model/family_harness.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith {

namespace {

using nlohmann::json;

std::string from_base64(const std::string& text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == kDigits.npos) continue;  // padding
    bits = bits << 6 | std::uint32_t(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += char(bits >> held & 255);
  }
  return out;
}

std::vector<float> floats_of(const json& tensor) {
  const std::string bytes = from_base64(tensor["data"]);
  std::vector<float> out(bytes.size() / 4);
  std::memcpy(out.data(), bytes.data(), out.size() * 4);
  return out;
}

// A trained model that sorts eleven of three symbols, with the (out, in) matrices of its makers.
struct NanoSort {
  json model, expected;
  explicit NanoSort(const std::filesystem::path& folder) {
    model = json::parse(test::read_file(folder / "gpt-nano-sort-model.json"));
    expected = json::parse(test::read_file(folder / "gpt-nano-sort-t0-partials.json"));
  }

  std::filesystem::path write(const std::filesystem::path& folder) const {
    test::WrittenModel out;
    out.config = {{"model_type", "gpt2"},
                  {"vocab_size", 3},
                  {"n_embd", 48},
                  {"n_layer", 3},
                  {"n_head", 3},
                  {"n_positions", 11},
                  {"tie_word_embeddings", false}};
    out.tensors.clear();
    for (const auto& [name, tensor] : model.items()) {
      if (name == "config") continue;
      std::vector<std::int64_t> shape = tensor["shape"];
      std::vector<float> values = floats_of(tensor);
      const bool matrix = shape.size() == 2 && name.starts_with("transformer.h.");
      if (matrix) {
        const auto before = values;
        const std::size_t rows = std::size_t(shape[0]), cols = std::size_t(shape[1]);
        for (std::size_t i = 0; i < before.size(); ++i) values[i % cols * rows + i / cols] = before[i];
        std::swap(shape[0], shape[1]);
      }
      out.tensors.push_back(
          {name, shape, "F32", std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4)});
    }
    return out.write(folder);
  }
};

struct Inputs : LinearObserver {
  std::map<std::pair<Role, dim>, std::vector<float>> seen;
  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override {
    auto& all = seen[{role, layer}];
    all.insert(all.end(), x, x + rows * cols);
  }
};

void expect_near(const std::vector<float>& got, const std::vector<float>& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  float worst = 0, scale = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  EXPECT_LE(worst, 1e-5f * scale) << what;  // both sides are f32
}

void expect_partials(const Model& model, const json& expected) {
  const auto ids = floats_of(expected["idx"]);
  const dim length = 11, sequences = dim(ids.size()) / length;
  const std::vector<Token> tokens(ids.begin(), ids.end());
  KvCache cache(model.config(), sequences, length);
  std::vector<Chunk> chunks;
  for (dim s = 0; s < sequences; ++s)
    chunks.push_back({s, std::span(tokens).subspan(std::size_t(s * length), std::size_t(length)), 0});
  Inputs inputs;
  std::vector<float> logits;
  Forward(model).run(
      cache, chunks, [&](dim, const float* x, dim rows) { logits.insert(logits.end(), x, x + rows * 3); }, &inputs);
  expect_near(inputs.seen[{Role::attn_qkv, 0}], floats_of(expected["ln1"]), "ln1");
  expect_near(inputs.seen[{Role::attn_o, 0}], floats_of(expected["y"]), "y");
  expect_near(inputs.seen[{Role::ffn_up, 0}], floats_of(expected["ln2"]), "ln2");
  expect_near(inputs.seen[{Role::ffn_down, 0}], floats_of(expected["gelu"]), "gelu");
  expect_near(inputs.seen[{Role::lm_head, -1}], floats_of(expected["ln_f"]), "ln_f");
  expect_near(logits, floats_of(expected["lm_head"]), "logits");
}

}  // namespace

TEST(FamilyGpt2, GoldenLogits) { test::check_family("gpt2"); }

TEST(FamilyGpt2, NamesWithoutPrefix) {
  const auto vectors = test::family_vectors("gpt2");
  const test::TempFolder out;
  test::expect_golden_logits(Model::open(test::write_family(vectors, out.path, "transformer.")), vectors, "h.0...");
}

TEST(FamilyGpt2, WhatGgufCannotSayStaysWithHuggingFace) {
  const auto vectors = test::family_vectors("gpt2_plain");
  const test::TempFolder out;
  const Model m = Model::open(test::write_family(vectors, out.path / "hf"));
  test::expect_golden_logits(m, vectors, "unscaled attention");
  EXPECT_THROW((void)plan_export(m, Container::gguf, test::all_f32(m), "m.gguf"), Error);
  const auto plan = plan_export(m, Container::hf, test::all_f32(m), "copy");
  const Model copy = Model::open(test::write_plan(m, plan, out.path / "copy"));
  test::expect_golden_tensors(copy, vectors);
}

// Its readers know integer groups in nn.Linear alone, and Conv1D is none.
TEST(FamilyGpt2, IntegerGroupsAreRefused) {
  const auto vectors = test::family_vectors("gpt2");
  const test::TempFolder out;
  const Model m = Model::open(test::write_family(vectors, out.path));
  const auto formats = test::formats_for(m, [](const ModelTensor& t) {
    return is_linear(t.role) && !t.vector ? &format_or_throw("int4_g32_sym") : &f32_format();
  });
  EXPECT_THROW((void)plan_export(m, Container::hf, formats, "copy"), Error);
}

TEST(FamilyGpt2, TrainedModelStepByStep) {
  PITH_NEED_DATA(folder, "models/nano_sort");
  const NanoSort nano(folder);
  const test::TempFolder out;
  const Model hf = Model::open(nano.write(out.path / "hf"));
  expect_partials(hf, nano.expected);
  const auto plan = plan_export(hf, Container::gguf, test::all_f32(hf), "m.gguf");
  expect_partials(Model::open(test::write_plan(hf, plan, out.path / "gguf")), nano.expected);
}

}  // namespace pith
