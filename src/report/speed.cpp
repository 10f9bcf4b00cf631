#include "report/speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "report/human.h"
#include "report/json_values.h"
#include "report/table.h"

namespace pith::report {

namespace {

const MachinePeaks& peaks_of(const Benchmark& b, int threads) {
  return *std::find_if(b.peaks.begin(), b.peaks.end(), [&](const MachinePeaks& p) { return p.threads == threads; });
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }
std::string percent(double value) { return value > 0 ? fmt::format("{:.0f} %", 100 * value) : "-"; }
std::string rate(double value) { return value > 0 ? fmt::format("{:.1f}", value) : "-"; }
std::string milliseconds(double s) { return s > 0 ? fmt::format("{:.2f}", 1000 * s) : "-"; }
std::string ratio(double value, double base) {
  return value > 0 && base > 0 ? fmt::format("{:.2f}x", value / base) : "-";
}
std::string name_of(const ModelSpeed& m) {
  const std::filesystem::path path(m.model);
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

Table model_table(const Benchmark& b) {
  Table t;
  t.columns = {{"model", false},  {"parameters", true}, {"file", true},     {"bits/weight", true},
               {"smaller", true}, {"load", true},       {"peak RAM", true}, {"keys, values", false}};
  for (const ModelSpeed& m : b.models)
    t.rows.push_back({name_of(m), human_parameters(m.parameters), human_bytes(m.file_bytes),
                      fmt::format("{:.2f}", m.bits_per_weight),
                      ratio(double(b.models[0].file_bytes), double(m.file_bytes)), human_seconds(m.load_seconds),
                      m.peak_ram_bytes > 0 ? human_bytes(m.peak_ram_bytes) : "-", m.kv});
  return t;
}

Table case_table(const Benchmark& b) {
  Table t;
  t.columns = {{"model", false},          {"threads", true},  {"context", true},    {"batch", true},
               {"prefill t/s", true},     {"MFU", true},      {"decode t/s", true}, {"MBU", true},
               {"first token ms", true},  {"ms/token", true}, {"p95", true},        {"J/token", true},
               {"faster: prefill", true}, {"decode", true}};
  for (const ModelSpeed& m : b.models)
    for (std::size_t i = 0; i < m.cases.size(); ++i) {
      const SpeedCase &c = m.cases[i], &base = b.models[0].cases[i];
      const MachinePeaks& p = peaks_of(b, c.threads);
      t.rows.push_back({name_of(m), fmt::to_string(c.threads), fmt::to_string(c.depth), fmt::to_string(c.batch),
                        rate(c.prefill), percent(prefill_mfu(p, m, c)), rate(c.decode), percent(decode_mbu(p, c)),
                        milliseconds(c.first_token.median), milliseconds(c.per_token.median),
                        milliseconds(c.per_token.p95),
                        c.joules_per_token > 0 ? fmt::format("{:.2f}", c.joules_per_token) : "-",
                        ratio(c.prefill, base.prefill), ratio(c.decode, base.decode)});
    }
  return t;
}

Json json_of(const Times& t) { return {{"median_seconds", t.median}, {"p95_seconds", t.p95}}; }

Json json_of(const Benchmark& b, const ModelSpeed& m, const SpeedCase& c, const SpeedCase& base) {
  const MachinePeaks& p = peaks_of(b, c.threads);
  Json out = {{"threads", c.threads}, {"context", c.depth}, {"batch", c.batch}};
  if (c.prefill > 0)
    out["prefill"] = {{"tokens_per_second", c.prefill},
                      {"first_token", json_of(c.first_token)},
                      {"operations_per_token", c.prefill_ops},
                      {"mfu", prefill_mfu(p, m, c)},
                      {"speedup", share(c.prefill, base.prefill)}};
  if (c.decode > 0)
    out["decode"] = {{"tokens_per_second", c.decode},
                     {"per_step", json_of(c.per_token)},
                     {"operations_per_token", c.decode_ops},
                     {"bytes_per_step", c.decode_bytes},
                     {"mfu", decode_mfu(p, m, c)},
                     {"mbu", decode_mbu(p, c)},
                     {"speedup", share(c.decode, base.decode)}};
  if (c.joules_per_token > 0) out["decode"]["joules_per_token"] = c.joules_per_token;
  return out;
}

Json json_of(const Benchmark& b, const ModelSpeed& m) {
  Json cases = Json::array();
  for (std::size_t i = 0; i < m.cases.size(); ++i) cases.push_back(json_of(b, m, m.cases[i], b.models[0].cases[i]));
  return {{"model", m.model},
          {"parameters", m.parameters},
          {"file_bytes", m.file_bytes},
          {"bits_per_weight", m.bits_per_weight},
          {"theoretical_share_of_linear_operations", m.kept_share},
          {"compression_ratio", share(double(b.models[0].file_bytes), double(m.file_bytes))},
          {"load_seconds", m.load_seconds},
          {"stored_bytes", m.stored_bytes},
          {"products", m.integer ? "int8" : "float"},
          {"peak_ram_bytes", m.peak_ram_bytes},
          {"kv", m.kv},
          {"activations", m.activations},
          {"cases", std::move(cases)}};
}

}  // namespace

std::string speed_text(const Benchmark& b) {
  std::string out;
  for (const MachinePeaks& p : b.peaks)
    out += fmt::format(
        "peaks with {} threads: f32 {:.0f}, bf16 {:.0f}, int8 {:.0f} billion operations/s; memory {:.1f} GB/s\n",
        p.threads, p.f32 / 1e9, p.bf16 / 1e9, p.int8 / 1e9, p.read / 1e9);
  out += fmt::format("prefill of {} tokens, decode of {}; medians of {} runs\n\n", b.options.prompt, b.options.generate,
                     b.options.runs);
  return out + text_table(model_table(b)) + "\n" + text_table(case_table(b));
}

std::string speed_json(const Benchmark& b) {
  Json peaks = Json::array(), models = Json::array();
  for (const MachinePeaks& p : b.peaks)
    peaks.push_back({{"threads", p.threads},
                     {"f32_operations_per_second", p.f32},
                     {"bf16_operations_per_second", p.bf16},
                     {"int8_operations_per_second", p.int8},
                     {"memory_bytes_per_second", p.read}});
  for (const ModelSpeed& m : b.models) models.push_back(json_of(b, m));
  return text_of({{"prompt_tokens", b.options.prompt},
                  {"generated_tokens", b.options.generate},
                  {"runs", b.options.runs},
                  {"exact", b.options.exact},
                  {"peaks", std::move(peaks)},
                  {"models", std::move(models)}});
}

}  // namespace pith::report
