#include "report/inspect.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "formats/format.h"
#include "tests/shared_data.h"

namespace pith::report {
namespace {

ModelTensor tensor_of(Role role, dim layer, const Format& format, dim rows, dim cols) {
  ModelTensor tensor;
  tensor.role = role;
  tensor.layer = layer;
  tensor.weight.format = &format;
  tensor.weight.rows = rows;
  tensor.weight.cols = cols;
  return tensor;
}

ModelSummary example() {
  Config config;
  config.arch = "llama";
  config.vocab = 100;
  config.hidden = 64;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.ffn = 128;
  config.context = 512;
  config.rope.dims = 16;
  config.tied_embeddings = true;
  std::vector<ModelTensor> tensors;
  tensors.push_back(tensor_of(Role::embed, -1, f16_format(), 100, 64));
  tensors.push_back(tensor_of(Role::ffn_up, 0, format_or_throw("q4_0"), 128, 64));
  tensors.push_back(tensor_of(Role::ffn_up, 1, format_or_throw("q4_0"), 128, 64));
  tensors.push_back(tensor_of(Role::output_norm, -1, f32_format(), 1, 64));
  ModelSummary summary = summarize(config, tensors, 0);
  summary.name = "tiny.gguf";
  summary.container = "gguf";
  summary.file_bytes = 23'456;
  return summary;
}

TEST(Inspect, Text) {
  // keys and values: 2 * 4 bytes * 2 layers * 2 heads * 16; to run: 12800 + 2 * 4608 + 256 + 512 * 512
  EXPECT_EQ(inspect_text(example()),
            "model               tiny.gguf (gguf, 23.5 kB)\n"
            "family              llama\n"
            "parameters          22.8 k (22,848) in 4 tensors\n"
            "shape               2 layers, hidden 64, ffn 128, vocabulary 100\n"
            "attention           4 heads of 16, 2 for keys and values\n"
            "rope                16 dims, base 10000\n"
            "choices             rms norm, silu, gated, head tied to the embedding\n"
            "context             512\n"
            "tokenizer           none\n"
            "bits per weight     4.500 in linears, 7.798 in all\n"
            "size                linears 9.22 kB, all weights 22.3 kB: 2.052x smaller than 16 bits a parameter\n"
            "operations a token  45.6 k to write the first, 308 k after 512 tokens\n"
            "keys and values     512 B a token (f32)\n"
            "memory to run       284 kB for a context of 512 (weights, keys and values)\n"
            "\n"
            "role         tensors     shape  format  parameters    bytes  bits per weight\n"
            "embed              1  100 x 64  f16          6,400  12.8 kB           16.000\n"
            "ffn_up             2  128 x 64  q4_0        16,384  9.22 kB            4.500\n"
            "output_norm        1    1 x 64  f32             64    256 B           32.000\n");
}

TEST(Inspect, Json) {
  const auto json = nlohmann::json::parse(inspect_json(example()));
  EXPECT_EQ(json.at("parameters"), 22'848);
  EXPECT_EQ(json.at("tensor_bytes"), 12'800 + 2 * 4'608 + 256);
  EXPECT_EQ(json.at("kv_bytes_per_token"), 512);
  EXPECT_EQ(json.at("run_bytes"), 22'272 + 512 * 512);
  EXPECT_EQ(json.at("config").at("kv_heads"), 2);
  EXPECT_EQ(json.at("operations").at("linears"), 2 * 16'384);
  EXPECT_EQ(json.at("operations").at("head"), 2 * 6'400);  // the embedding is the head
  EXPECT_EQ(json.at("operations").at("attention_per_token_before"), 4 * 2 * 4 * 16);
  EXPECT_TRUE(json.at("pruning_rate").is_null());
  EXPECT_EQ(json.at("groups").at(1).dump(),
            R"({"bytes":9216,"cols":64,"format":"q4_0","parameters":16384,"part":"weight","role":"ffn_up","rows":128,)"
            R"("tensors":2})");
  EXPECT_TRUE(json.at("tokenizer").is_null());
}

TEST(Inspect, Stories260K) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const ModelSummary summary = summarize(Model::open(path));
  EXPECT_EQ(summary.config.layers, 5);
  EXPECT_EQ(summary.tensor_bytes, 4 * summary.parameters);
  EXPECT_EQ(summary.tokenizer_vocab, 512);
  EXPECT_EQ(summary.kv_bytes_per_token, 2 * 4 * 5 * 4 * 8);
}

}  // namespace
}  // namespace pith::report
