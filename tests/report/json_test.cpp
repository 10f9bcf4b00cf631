#include "report/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/report/example.h"

namespace pith::report {
namespace {

TEST(ReportJson, Evaluation) {
  EXPECT_EQ(to_json(example_comparison().model),
            R"({
  "protocol": "llamacpp-512",
  "conditions": "context 512; 8 windows",
  "text_sha256": "cc33",
  "context": 512,
  "kv": {
    "codec": "f32",
    "bits_per_value": 32.0,
    "bytes_of_context": 0
  },
  "activations": "f32",
  "windows": 8,
  "tokens_scored": 2040,
  "tokens_not_run": 7,
  "bytes_scored": 9000,
  "words_scored": 1600,
  "perplexity": {
    "mean": 24.5325,
    "half_width_95": 0.2453
  },
  "nats_per_token": {
    "mean": 3.2,
    "half_width_95": 0.01
  },
  "nats_per_token_token_error": 0.05,
  "word_perplexity": {
    "mean": 59.1455,
    "half_width_95": 0.7541
  },
  "byte_perplexity": {
    "mean": 2.0653,
    "half_width_95": 0.0047
  },
  "bits_per_byte": {
    "mean": 1.0465,
    "half_width_95": 0.0033
  },
  "by_position": [
    {
      "from": 256,
      "to": 384,
      "tokens": 1024,
      "nats_per_token": 3.3
    },
    {
      "from": 384,
      "to": 512,
      "tokens": 1016,
      "nats_per_token": 3.1
    }
  ],
  "seconds": 2.0,
  "tokens_per_second": 2044.0
}
)");
}

TEST(ReportJson, Comparison) {
  const auto json = nlohmann::json::parse(to_json(example_comparison()));
  EXPECT_EQ(json.at("base").at("perplexity").at("mean"), 24.0);
  EXPECT_EQ(json.at("divergence").dump(),
            R"({"kl":{"half_width_95":0.0005,"mean":0.0125},"kl_max":0.5,"kl_median":0.01,"kl_p90":0.02,"kl_p95":0.03,)"
            R"("kl_p99":0.05,"kl_p999":0.25,"log_perplexity_ratio":{"half_width_95":0.002,"mean":0.022},)"
            R"("rms_delta_p":{"half_width_95":0.001,"mean":0.02},"top10_overlap":{"half_width_95":0.03,"mean":0.85},)"
            R"("top1_agreement":{"half_width_95":0.01,"mean":0.95},"top5_overlap":{"half_width_95":0.02,"mean":0.9}})");
}

TEST(ReportJson, Outcome) {
  const auto json = nlohmann::json::parse(to_json(example_outcome()));
  EXPECT_EQ(json.at("output_sha256"), "bb22");
  const auto& up = json.at("tensors").at(1);
  EXPECT_EQ(up.dump(), R"({"bytes":4608,"format":"q4_0","layer":0,"name":"up.weight","relative_error":0.08,)"
                       R"("rmse":0.008,"role":"ffn_up","sqnr_db":21.94})");
  EXPECT_TRUE(json.at("tensors").at(0).at("sqnr_db").is_null());  // nothing was lost: an infinite ratio
  const auto& linears = json.at("preflight").at("sizes").at("linears");
  EXPECT_EQ(linears.at("parameters"), 128 * 64 + 64 * 100);
  EXPECT_EQ(linears.at("bytes_after"), 4608 + 12800);
  EXPECT_EQ(linears.at("bits_per_weight_before"), 16.0);
}

TEST(ReportJson, NamesThatAreNotUtf8DoNotThrow) {
  Preflight preflight = example_preflight();
  preflight.tensors[0].name = "bad\xff";
  const auto json = nlohmann::json::parse(to_json(preflight));
  EXPECT_EQ(json.at("tensors").at(0).at("name"), "bad\xef\xbf\xbd");
}

}  // namespace
}  // namespace pith::report
