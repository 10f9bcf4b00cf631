// A trained model made into a mixture of experts: each is a copy of the dense network, and the weights of those used
// sum to 1, so it says what the dense one says, whatever its router prefers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "io/safetensors.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

constexpr int kExperts = 4;

Ran must_run(const std::string& arguments) {
  Ran ran = run_pith(arguments);
  EXPECT_EQ(ran.exit_code, 0) << "pith " << arguments << "\n" << ran.err;
  return ran;
}

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

void add(WrittenModel& out, std::string name, const std::vector<dim>& shape, std::string bytes) {
  out.tensors.push_back({std::move(name), {shape.begin(), shape.end()}, "F32", std::move(bytes)});
}

std::filesystem::path write_mixture(const std::filesystem::path& dense, const std::filesystem::path& folder) {
  WrittenModel out;
  out.config = json::parse(read_file(dense / "config.json"));
  out.config["model_type"] = "mixtral";
  out.config["architectures"] = {"MixtralForCausalLM"};
  out.config["num_local_experts"] = kExperts;
  out.config["num_experts_per_tok"] = 2;
  out.tensors.clear();
  const auto files = SafetensorsSet::open(dense);
  for (const SafeTensor& t : files.tensors()) {
    const std::string bytes(reinterpret_cast<const char*>(files.data(t)), std::size_t(t.size_bytes));
    const auto mlp = t.name.find("mlp.");
    if (mlp == t.name.npos) {
      add(out, t.name, t.shape, bytes);
      continue;
    }
    const std::string block = t.name.substr(0, mlp) + "block_sparse_moe.";
    const std::string part = t.name.find("gate") != t.name.npos ? "w1" : t.name.find("up") != t.name.npos ? "w3" : "w2";
    for (int e = 0; e < kExperts; ++e)
      add(out, block + "experts." + std::to_string(e) + "." + part + ".weight", t.shape, bytes);
    if (part == "w1") out.tensors.push_back(f32_tensor(block + "gate.weight", {kExperts, 64}));
  }
  out.write(folder);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    if (std::filesystem::exists(dense / name)) std::filesystem::copy_file(dense / name, folder / name);
  return folder;
}

// checked against llama.cpp on the dense model
constexpr const char* kStory = ", there was a little girl named Lily. She loved to play outside in the park.";

void expect_story(const std::filesystem::path& model) {
  const json out = json::parse(must_run("generate " + quoted(model) + " 'Once upon a time' -n 30 --json").out);
  EXPECT_TRUE(std::string(out.at("text")).starts_with(kStory)) << out.at("text");
}

double kl_of(const std::filesystem::path& model, const std::filesystem::path& reference,
             const std::filesystem::path& text) {
  const json eval = json::parse(must_run("eval " + quoted(model) + " --against " + quoted(reference) + " --text " +
                                         quoted(text) + " --protocol stories-256 --windows 2 --json")
                                    .out);
  return eval.at(0).at("divergence").at("kl").at("mean");
}

}  // namespace

TEST(Mixture, SaysWhatItsDenseModelSays) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(dense, "models/stories260K/hf");
  const TempFolder temp;
  const auto mixture = write_mixture(dense, temp.path / "mixture");
  expect_story(mixture);
  const json out = json::parse(
      must_run("eval " + quoted(mixture) + " --text " + quoted(text) + " --protocol stories-256 --windows 24 --json")
          .out);
  EXPECT_NEAR(out.at(0).at("perplexity").at("mean").get<double>(), 7.6291, 0.001);  // the dense model's, by others
  must_run("convert " + quoted(mixture) + " -f f32 --to gguf -o " + quoted(temp.path / "m.gguf"));
  expect_story(temp.path / "m.gguf");
}

TEST(Mixture, QuantizedInBothContainers) {
  PITH_NEED_DATA(text, "text/tinystories_30k.txt");
  PITH_NEED_DATA(dense, "models/stories260K/hf");
  const TempFolder temp;
  const auto mixture = write_mixture(dense, temp.path / "mixture");
  must_run("quantize " + quoted(mixture) + " -f q8_0 -o " + quoted(temp.path / "q8.gguf"));
  must_run("quantize " + quoted(mixture) + " -f q4_0 -o " + quoted(temp.path / "q4.gguf"));
  must_run("quantize " + quoted(mixture) + " -f int4_g32 -o " + quoted(temp.path / "int4"));
  expect_story(temp.path / "q8.gguf");
  const double q8 = kl_of(temp.path / "q8.gguf", dense, text), q4 = kl_of(temp.path / "q4.gguf", dense, text),
               int4 = kl_of(temp.path / "int4", dense, text);
  EXPECT_LT(q8, 0.001);
  EXPECT_GT(q4, q8);
  EXPECT_LT(q4, 0.5);
  EXPECT_GT(int4, q8);
  EXPECT_LT(int4, 0.5);
}

}  // namespace pith::test
