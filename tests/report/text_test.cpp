#include "report/text.h"

#include <gtest/gtest.h>

#include "tests/report/example.h"

namespace pith::report {
namespace {

TEST(ReportText, Preflight) {
  EXPECT_EQ(
      preflight_text(example_preflight()),
      "role         tensors     shape  from  to     before    after  note\n"
      "embed              1  100 x 64  f16   f16   12.8 kB  12.8 kB\n"
      "ffn_up             1  128 x 64  f16   q4_0  16.4 kB  4.61 kB\n"
      "ffn_down           1  64 x 100  f16   f16   12.8 kB  12.8 kB  not q4_0: 100 columns are not whole blocks of "
      "32\n"
      "output_norm        1    1 x 64  f16   f32     128 B    256 B\n"
      "\n"
      "output           31.0 kB, 1.36x smaller\n"
      "bits per weight  9.544 in linears, 11.574 in all\n"
      "fallbacks        1 of 4 tensors\n"
      "peak memory      2.50 MB (predicted)\n"
      "time             250 ms (predicted)\n"
      "free on disk     5.00 GB\n");
}

TEST(ReportText, TensorsAlikeShareARow) {
  Preflight preflight = example_preflight();
  TensorPlan again = preflight.tensors[1];
  again.layer = 1;
  preflight.tensors.push_back(again);
  const Table table = preflight_table(preflight);
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[1],
            (std::vector<std::string>{"ffn_up", "2", "128 x 64", "f16", "q4_0", "32.8 kB", "9.22 kB", ""}));
}

TEST(ReportText, Outcome) {
  EXPECT_EQ(outcome_text(example_outcome()),
            "size             42.1 kB -> 31.0 kB, 1.36x smaller\n"
            "bits per weight  9.544 in linears, 11.574 in all\n"
            "largest error    8.00 % (21.9 dB) in up.weight\n"
            "time             1.5 s\n"
            "peak memory      2.00 MB\n");
}

TEST(ReportText, Comparison) {
  EXPECT_EQ(comparison_text(example_comparison()),
            "protocol               llamacpp-512: context 512; 8 windows\n"
            "perplexity             24.5325 ± 0.2453\n"
            "perplexity of base     24.0000 ± 0.2500\n"
            "nats per token         3.20000 ± 0.01000\n"
            "bits per byte          1.0465 ± 0.0033\n"
            "of words, of bytes     perplexity 59.1455 (1,600 words), 2.06530 (9,000 bytes)\n"
            "text                   sha256 cc33\n"
            "time                   2.0 s, 2044 tokens/s\n"
            "KL(base || model)      0.012500 ± 0.000500 nats per token\n"
            "KL quantiles           median 0.010000, 90 % 0.020000, 95 % 0.030000, 99 % 0.050000, 99.9 % 0.250000, "
            "largest 0.500000\n"
            "same top token         95.000 ± 1.000 %\n"
            "same of the top 5, 10  90.000 ± 2.000 %, 85.000 ± 3.000 %\n"
            "RMS change of p        2.000 ± 0.100 %\n"
            "ln(ppl / base ppl)     0.022000 ± 0.002000\n");
}

TEST(ReportText, OneWindowShowsItsPositions) {
  EvalResult r = example_comparison().model;
  EXPECT_EQ(eval_text(r).find("position"), std::string::npos);
  r.windows = 1;
  EXPECT_TRUE(
      eval_text(r).ends_with("\nposition  tokens  nats per token  perplexity\n"
                             "     256    1024          3.3000      27.113\n"
                             "     384    1016          3.1000      22.198\n"))
      << eval_text(r);
}

}  // namespace
}  // namespace pith::report
