// A small plan and its outcome, made by hand: 2 linears of layer 0 (one fell back), an embedding, a norm.
#pragma once
#include "compress/pipeline.h"

namespace pith::report {

inline TensorPlan plan_of(const char* name, Role role, dim layer, dim rows, dim cols) {
  TensorPlan plan{};
  plan.name = name;
  plan.role = role;
  plan.layer = layer;
  plan.rows = rows;
  plan.cols = cols;
  plan.from = &f16_format();
  plan.bytes_before = rows * cols * 2;
  return plan;
}

inline void store_as(TensorPlan& plan, const Format& format, dim bytes) {
  plan.to = plan.wanted = &format;
  plan.bytes_after = bytes;
}

inline Preflight example_preflight() {
  Preflight preflight;
  auto embed = plan_of("embed.weight", Role::embed, -1, 100, 64);
  store_as(embed, f16_format(), 12'800);
  auto up = plan_of("up.weight", Role::ffn_up, 0, 128, 64);
  store_as(up, format_or_throw("q4_0"), 4'608);
  auto down = plan_of("down.weight", Role::ffn_down, 0, 64, 100);
  store_as(down, f16_format(), 12'800);
  down.wanted = &format_or_throw("q4_0");
  down.why = "100 columns are not whole blocks of 32";
  auto norm = plan_of("norm.weight", Role::output_norm, -1, 1, 64);
  store_as(norm, f32_format(), 256);
  preflight.tensors = {embed, up, down, norm};
  preflight.source_bytes = 42'112;
  preflight.output_bytes = 31'000;
  preflight.peak_ram_bytes = 2'500'000;
  preflight.seconds = 0.25;
  preflight.disk_free_bytes = 5'000'000'000;
  return preflight;
}

inline TensorOutcome outcome_of(const TensorPlan& plan, double relative_error, double sqnr_db) {
  return {.name = plan.name,
          .role = plan.role,
          .layer = plan.layer,
          .format = plan.to,
          .rmse = relative_error / 10,
          .relative_error = relative_error,
          .sqnr_db = sqnr_db,
          .bytes = plan.bytes_after,
          .note = {}};
}

inline Outcome example_outcome() {
  Outcome outcome;
  outcome.preflight = example_preflight();
  const auto& t = outcome.preflight.tensors;
  const double infinity = __builtin_inf();
  outcome.tensors = {outcome_of(t[0], 0, infinity), outcome_of(t[1], 0.08, 21.94), outcome_of(t[2], 0, infinity),
                     outcome_of(t[3], 0, infinity)};
  outcome.seconds = 1.5;
  outcome.peak_ram_bytes = 2'000'000;
  outcome.source_hash = "aa11";
  outcome.output_hash = "bb22";
  outcome.output_bytes = 31'000;
  return outcome;
}

inline Comparison example_comparison() {
  Comparison comparison;
  EvalResult& r = comparison.model;
  r.protocol = "llamacpp-512";
  r.text_hash = "cc33";
  r.conditions = "context 512; 8 windows";
  r.context = 512;
  r.windows = 8;
  r.tokens_scored = 2040;
  r.tokens_dropped = 7;
  r.bytes = 9000;
  r.words = 1600;
  r.nll = {3.2, 0.01};
  r.nll_token_error = 0.05;
  r.perplexity = {24.5325, 0.2453};
  r.word_perplexity = {59.1455, 0.7541};
  r.byte_perplexity = {2.0653, 0.0047};
  r.bits_per_byte = {1.0465, 0.0033};
  r.by_position = {{256, 128, 1024, 3.3}, {384, 128, 1016, 3.1}};
  r.seconds = 2;
  r.tokens_per_second = 2044;
  Divergence& d = comparison.divergence;
  d.base = r;
  d.base.perplexity = {24, 0.25};
  d.kl = {0.0125, 0.0005};
  d.kl_median = 0.01;
  d.kl_p90 = 0.02;
  d.kl_p95 = 0.03;
  d.kl_p99 = 0.05;
  d.kl_p999 = 0.25;
  d.kl_max = 0.5;
  d.top1_agreement = {0.95, 0.01};
  d.top5_overlap = {0.9, 0.02};
  d.top10_overlap = {0.85, 0.03};
  d.rms_delta_p = {0.02, 0.001};
  d.log_ppl_ratio = {0.022, 0.002};
  return comparison;
}

}  // namespace pith::report
