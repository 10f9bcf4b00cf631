#include "report/quality.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/report/example.h"

namespace pith::report {
namespace {

QualityReport example() {
  QualityReport report;
  report.model = "tiny";
  report.output = "tiny-q4_0.gguf";
  report.family = "llama";
  report.source_container = "hf";
  report.container = "gguf";
  report.source_bytes = 62'000;
  report.recipe.format = &format_or_throw("q4_0");
  report.recipe.steps = steps_of("rtn", {"range=minmax"});
  report.recipe.overrides = {{{{Role::attn_v, Role::ffn_down}, {0, 1}}, &f16_format()}};
  report.outcome = example_outcome();
  report.comparisons = {example_comparison()};
  return report;
}

TEST(Quality, ErrorsByRole) {
  EXPECT_EQ(markdown_table(role_errors(example_outcome())),
            "| role | tensors | format | mean error | worst error | worst SQNR | worst tensor |\n"
            "|---|---:|---|---:|---:|---:|---|\n"
            "| embed | 1 | f16 | exact | exact | - | embed.weight |\n"
            "| ffn_up | 1 | q4_0 | 8 % | 8 % | 21.9 dB | up.weight |\n"
            "| ffn_down | 1 | f16 | exact | exact | - | down.weight |\n");
}

TEST(Quality, TokensOfExperts) {
  Outcome outcome;
  for (const auto& [layer, tokens] : {std::pair<dim, dim>{0, 7}, {0, 0}, {0, 12}, {1, 3}, {2, -1}}) {
    TensorOutcome t{};
    t.role = Role::expert_up;
    t.layer = layer;
    t.tokens = tokens;
    outcome.tensors.push_back(t);
  }
  EXPECT_EQ(markdown_table(expert_tokens(outcome)),
            "| layer | experts | fewest tokens | most tokens | none |\n"
            "|---:|---:|---:|---:|---:|\n"
            "| 0 | 3 | 0 | 12 | 1 |\n"
            "| 1 | 1 | 3 | 3 | 0 |\n");
}

TEST(Quality, ErrorsByLayer) {
  Outcome outcome = example_outcome();
  TensorOutcome other = outcome.tensors[1];
  other.layer = 3;
  other.relative_error = 0.1234;
  other.sqnr_db = 18.17;
  outcome.tensors.push_back(other);
  EXPECT_EQ(markdown_table(layer_errors(outcome)),
            "| layer | ffn_up | ffn_down |\n"
            "|---:|---:|---:|\n"
            "| 0 | 8 % 21.9 dB | exact - |\n"
            "| 3 | 12.3 % 18.2 dB |  |\n");
}

void expect_line(const std::string& text, const std::string& line) {
  EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\nis not in\n" << text;
}

TEST(Quality, Markdown) {
  const std::string text = quality_markdown(example());
  expect_line(text, "# tiny-q4_0.gguf");
  expect_line(text, "tiny (llama, hf) compressed to gguf.");
  expect_line(text, "| output | 31.0 kB (31,000 bytes) |");
  expect_line(text, "| compression ratio | 2.000 |");
  expect_line(text, "| bits per weight, linears | 9.544 (was 16.000; 14,592 parameters in 2 tensors) |");
  expect_line(text, "| bits per weight, whole model | 11.574 (was 16.000; 21,056 parameters in 4 tensors) |");
  expect_line(text, "### llamacpp-512, against the source");
  expect_line(text, "| perplexity of the source | 24.0000 ± 0.2500 |");
  expect_line(text, "| options given | range=minmax |");
  expect_line(text, "| overrides | attn_v\\|ffn_down@0-1=f16 |");
  expect_line(text, "| down.weight | 64 x 100 | q4_0 | f16 | 100 columns are not whole blocks of 32 |");
  expect_line(text, "| time | 1.5 s (predicted 250 ms) |");
  expect_line(text, "| XXH3 of the source | aa11 |");
}

TEST(Quality, WithoutEvaluationOrFallbacks) {
  QualityReport report = example();
  report.comparisons.clear();
  report.outcome.preflight.tensors[2].wanted = report.outcome.preflight.tensors[2].to;
  const std::string text = quality_markdown(report);
  expect_line(text, "Not measured.");
  expect_line(text, "None.");
}

TEST(Quality, Json) {
  const auto json = nlohmann::json::parse(quality_json(example()));
  EXPECT_EQ(json.at("compression_ratio"), 2.0);
  EXPECT_NEAR(json.at("bits_per_weight_linears").get<double>(), 9.5438596, 1e-6);  // 8 * 17408 / 14592
  EXPECT_EQ(
      json.at("recipe").dump(),
      R"({"activations":null,"adapter":null,"allow_fallback":true,"allow_requantize":false,"calibration":null,)"
      R"("compressed_prefix":true,"dither_seed":null,"embed_format":null,)"
      R"("format":"q4_0",)"
      R"("importance_file":null,"kv":null,"max_bytes":null,"method":"rtn","options":["range=minmax"],)"
      R"("overrides":["attn_v|ffn_down@0-1=f16"],"sparsity_allocation":"uniform","store":"dense","true_sequential":false})");
  EXPECT_EQ(json.at("comparisons").at(0).at("divergence").at("kl_max"), 0.5);
  EXPECT_EQ(json.at("evaluations").size(), 0u);
  EXPECT_EQ(json.at("outcome").at("source_xxh3"), "aa11");
}

}  // namespace
}  // namespace pith::report
