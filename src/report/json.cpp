#include "report/json.h"

#include "report/json_values.h"
#include "report/sizes.h"

namespace pith::report {
namespace {

Json name_or_null(const Format* format) { return format ? Json(format->name) : Json(nullptr); }

Json json_of(const TensorPlan& t) {
  return {{"name", t.name},
          {"role", role_name(t.role)},
          {"layer", t.layer},
          {"rows", t.rows},
          {"cols", t.cols},
          {"from", name_or_null(t.from)},
          {"to", name_or_null(t.to)},
          {"wanted", name_or_null(t.wanted)},
          {"why", t.why},
          {"kept", t.kept >= 0 ? Json(t.kept) : Json(nullptr)},
          {"zeros_left_out", t.sparse.has_value()},
          {"bytes_before", t.bytes_before},
          {"bytes_after", t.bytes_after}};
}

Json json_of(const TensorOutcome& t) {
  Json json = {{"name", t.name},       {"role", role_name(t.role)},
               {"layer", t.layer},     {"format", name_or_null(t.format)},
               {"rmse", t.rmse},       {"relative_error", t.relative_error},
               {"sqnr_db", t.sqnr_db}, {"bytes", t.bytes}};
  if (t.zeros > 0) json["zeros"] = t.zeros;
  if (t.tokens >= 0) json["calibration_tokens"] = t.tokens;
  if (!t.note.empty()) json["note"] = t.note;
  return json;
}

Json json_of(const Share& share) {
  return {{"tensors", share.tensors},
          {"parameters", share.parameters},
          {"bytes_before", share.bytes_before},
          {"bytes_after", share.bytes_after},
          {"bits_per_weight_before", share.bits_before()},
          {"bits_per_weight_after", share.bits_after()}};
}

}  // namespace

Json json_of(const Interval& interval) { return {{"mean", interval.mean}, {"half_width_95", interval.half_width}}; }

Json json_of(const Preflight& preflight) {
  const Sizes sizes = sizes_of(preflight);
  Json tensors = Json::array();
  for (const TensorPlan& tensor : preflight.tensors) tensors.push_back(json_of(tensor));
  return {{"source_bytes", preflight.source_bytes},
          {"output_bytes", preflight.output_bytes},
          {"predicted_peak_ram_bytes", preflight.peak_ram_bytes},
          {"predicted_seconds", preflight.seconds},
          {"disk_free_bytes", preflight.disk_free_bytes},
          {"notes", preflight.notes},
          {"sizes",
           {{"linears", json_of(sizes.linears)},
            {"embeddings", json_of(sizes.embeddings)},
            {"others", json_of(sizes.others)},
            {"all", json_of(sizes.all)}}},
          {"tensors", std::move(tensors)}};
}

Json json_of(const Outcome& outcome) {
  Json tensors = Json::array();
  for (const TensorOutcome& tensor : outcome.tensors) tensors.push_back(json_of(tensor));
  const Zeros zeros = zeros_of(outcome);
  return {{"zeros", {{"values", zeros.values}, {"zeros", zeros.zeros}}},
          {"output_bytes", outcome.output_bytes},
          {"seconds", outcome.seconds},
          {"peak_ram_bytes", outcome.peak_ram_bytes},
          {"source_xxh3", outcome.source_hash},
          {"output_sha256", outcome.output_hash},
          {"tensors", std::move(tensors)},
          {"preflight", json_of(outcome.preflight)}};
}

Json json_of(const EvalResult& r) {
  Json positions = Json::array();
  for (const PositionScore& p : r.by_position)
    positions.push_back({{"from", p.from}, {"to", p.from + p.span}, {"tokens", p.tokens}, {"nats_per_token", p.nll}});
  return {{"protocol", r.protocol},
          {"conditions", r.conditions},
          {"text_sha256", r.text_hash},
          {"context", r.context},
          {"kv", {{"codec", r.kv}, {"bits_per_value", r.kv_bits_per_value}, {"bytes_of_context", r.kv_bytes}}},
          {"activations", r.activations},
          {"windows", r.windows},
          {"tokens_scored", r.tokens_scored},
          {"tokens_not_run", r.tokens_dropped},
          {"bytes_scored", r.bytes},
          {"words_scored", r.words},
          {"perplexity", json_of(r.perplexity)},
          {"nats_per_token", json_of(r.nll)},
          {"nats_per_token_token_error", r.nll_token_error},
          {"word_perplexity", json_of(r.word_perplexity)},
          {"byte_perplexity", json_of(r.byte_perplexity)},
          {"bits_per_byte", json_of(r.bits_per_byte)},
          {"by_position", std::move(positions)},
          {"seconds", r.seconds},
          {"tokens_per_second", r.tokens_per_second}};
}

Json json_of(const Divergence& d) {
  return {{"kl", json_of(d.kl)},
          {"kl_median", d.kl_median},
          {"kl_p90", d.kl_p90},
          {"kl_p95", d.kl_p95},
          {"kl_p99", d.kl_p99},
          {"kl_p999", d.kl_p999},
          {"kl_max", d.kl_max},
          {"top1_agreement", json_of(d.top1_agreement)},
          {"top5_overlap", json_of(d.top5_overlap)},
          {"top10_overlap", json_of(d.top10_overlap)},
          {"rms_delta_p", json_of(d.rms_delta_p)},
          {"log_perplexity_ratio", json_of(d.log_ppl_ratio)}};
}

Json json_of(const Comparison& comparison) {
  return {{"model", json_of(comparison.model)},
          {"base", json_of(comparison.divergence.base)},
          {"divergence", json_of(comparison.divergence)}};
}

std::string text_of(const Json& value) { return value.dump(2, ' ', false, Json::error_handler_t::replace) + '\n'; }

std::string to_json(const Preflight& preflight) { return text_of(json_of(preflight)); }
std::string to_json(const Outcome& outcome) { return text_of(json_of(outcome)); }
std::string to_json(const EvalResult& result) { return text_of(json_of(result)); }
std::string to_json(const Comparison& comparison) { return text_of(json_of(comparison)); }

}  // namespace pith::report
