#include "serve/http/metrics.h"

#include <fmt/format.h>

#include <functional>

namespace pith {

namespace {

struct Metric {
  const char *name, *type, *help;
  std::function<double(const BatchCounts&)> value;
};

const std::vector<Metric>& metrics() {
  using C = BatchCounts;
  static const std::vector<Metric> all = {
      {"pith_requests_active", "gauge", "Requests that are running.", [](const C& c) { return double(c.active); }},
      {"pith_requests_waiting", "gauge", "Requests that wait for a slot.",
       [](const C& c) { return double(c.waiting); }},
      {"pith_slots", "gauge", "Requests that can run at once.", [](const C& c) { return double(c.slots); }},
      {"pith_kv_bytes", "gauge", "Bytes of keys and values.", [](const C& c) { return double(c.kv_bytes); }},
      {"pith_requests_accepted_total", "counter", "Requests taken.", [](const C& c) { return double(c.accepted); }},
      {"pith_requests_refused_total", "counter", "Requests refused because too many wait.",
       [](const C& c) { return double(c.refused); }},
      {"pith_requests_finished_total", "counter", "Requests answered.", [](const C& c) { return double(c.finished); }},
      {"pith_requests_failed_total", "counter", "Requests that failed.", [](const C& c) { return double(c.failed); }},
      {"pith_requests_cancelled_total", "counter", "Requests whose client went away.",
       [](const C& c) { return double(c.cancelled); }},
      {"pith_prompt_tokens_total", "counter", "Tokens of prompts.", [](const C& c) { return double(c.prompt_tokens); }},
      {"pith_prompt_tokens_reused_total", "counter", "Tokens of prompts that lay in the cache.",
       [](const C& c) { return double(c.reused_tokens); }},
      {"pith_generated_tokens_total", "counter", "Tokens written.",
       [](const C& c) { return double(c.generated_tokens); }},
      {"pith_forward_runs_total", "counter", "Runs of the forward pass.", [](const C& c) { return double(c.runs); }},
      {"pith_forward_rows_total", "counter", "Tokens in them.", [](const C& c) { return double(c.rows); }},
      {"pith_forward_seconds_total", "counter", "Seconds in them.", [](const C& c) { return c.run_seconds; }},
  };
  return all;
}

std::string escaped(const std::string& label) {
  std::string out;
  for (const char c : label) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string metrics_text(const std::vector<ServedModel>& models) {
  std::vector<BatchCounts> counts;
  for (const ServedModel& m : models) counts.push_back(m.engine->counts());
  std::string out;
  for (const Metric& metric : metrics()) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", metric.name, metric.help, metric.type);
    for (std::size_t i = 0; i < models.size(); ++i)
      out += fmt::format("{}{{model=\"{}\"}} {}\n", metric.name, escaped(models[i].id), metric.value(counts[i]));
  }
  return out;
}

}  // namespace pith
