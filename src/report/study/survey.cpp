// Tables with plain numbers: for CSV, and those of the survey.
#include <fmt/format.h>

#include <cmath>

#include "report/human.h"
#include "report/study/tables.h"

namespace pith::report {
namespace {

std::string plain(double v) { return std::isfinite(v) ? fmt::format("{:.7g}", v) : ""; }

const DivergenceRecord* divergence_of(const ModelRecord& m) {
  return m.quality && m.quality->against_base ? &*m.quality->against_base : nullptr;
}

void add_quality(const Study& study, const ModelRecord& m, std::vector<std::string>& cells) {
  const auto add = [&](bool known, double v) { cells.push_back(known ? plain(v) : ""); };
  const QualityRecord* q = m.quality ? &*m.quality : nullptr;
  add(q, q ? q->perplexity.mean : 0);
  add(q, q ? q->perplexity.half_width : 0);
  const auto delta = delta_perplexity(study, m);
  add(delta.has_value(), delta.value_or(0));
  add(q, q ? q->bits_per_byte.mean : 0);
  const DivergenceRecord* d = divergence_of(m);
  for (const double v : d ? std::vector{d->kl.mean, d->kl.half_width, d->median, d->p90, d->p99, d->most, d->top1.mean}
                          : std::vector<double>(7, NAN))
    cells.push_back(plain(v));
}

void add_speed(const Study& study, const ModelRecord& m, std::vector<std::string>& cells) {
  const SpeedRecord* s = m.speed ? &*m.speed : nullptr;
  for (const double v :
       s ? std::vector{s->prefill, s->decode, s->first_token, s->per_token, s->per_token_p95, s->mfu, s->mbu,
                       double(s->peak_ram), prefill_speedup(study, m), decode_speedup(study, m)}
         : std::vector<double>(10, NAN))
    cells.push_back(plain(v));
}

std::string change(const Study& study, const ModelRecord& m) {
  const auto delta = delta_perplexity(study, m);
  return delta ? fmt::format("{:+.2f}", *delta) : "-";
}

std::string speedup(const Study& study, const ModelRecord& m) {
  const double prefill = prefill_speedup(study, m), decode = decode_speedup(study, m);
  return prefill > 0 || decode > 0 ? fmt::format("{:.2f}x / {:.2f}x", prefill, decode) : "-";
}

std::string bits(double v) { return v > 0 ? fmt::format("{:g}", std::round(v * 100) / 100) : "-"; }

std::string change_title(std::span<const Study> studies) {
  return "ΔPPL" + (studies.empty() || studies[0].text_name.empty() ? "" : " " + studies[0].text_name);
}

}  // namespace

Table numbers_table(const Study& study) {
  Table t;
  for (const char* title : {"model",
                            "method",
                            "format",
                            "file_bytes",
                            "compression_ratio",
                            "bits_per_weight_linears",
                            "bits_per_weight",
                            "pruning_rate",
                            "linear_operations",
                            "theoretical_operations",
                            "perplexity",
                            "perplexity_half_width_95",
                            "delta_perplexity",
                            "bits_per_byte",
                            "kl",
                            "kl_half_width_95",
                            "kl_median",
                            "kl_p90",
                            "kl_p99",
                            "kl_max",
                            "top1_agreement",
                            "prefill_tokens_per_second",
                            "decode_tokens_per_second",
                            "first_token_seconds",
                            "seconds_per_token",
                            "seconds_per_token_p95",
                            "mfu",
                            "mbu",
                            "peak_ram_bytes",
                            "prefill_speedup",
                            "decode_speedup",
                            "compress_seconds"})
    t.columns.push_back({title, true});
  for (const ModelRecord* m : all_of(study)) {
    const SizeRecord& s = m->size;
    std::vector<std::string> cells = {m->name,
                                      m->method,
                                      m->format,
                                      fmt::to_string(s.file_bytes),
                                      plain(compression_ratio(study, *m)),
                                      plain(s.linear_bits()),
                                      plain(s.bits()),
                                      plain(s.zeros),
                                      plain(s.linear_ops + s.head_ops),
                                      plain(s.theoretical_ops())};
    add_quality(study, *m, cells);
    add_speed(study, *m, cells);
    cells.push_back(m->compress_seconds > 0 ? plain(m->compress_seconds) : "");
    t.rows.push_back(std::move(cells));
  }
  return t;
}

Table quantization_table(std::span<const Study> studies) {
  Table t{{{"category", false},
           {"method", false},
           {"model", false},
           {"bits W", true},
           {"A", true},
           {"KV", true},
           {change_title(studies), true},
           {"speed-up (prefill / decode)", true}},
          {}};
  for (const Study& study : studies)
    for (const ModelRecord& m : study.models)
      if (!m.pruned)
        t.rows.push_back({m.category, m.method + " " + m.format, reference_of(study).name, bits(m.size.linear_bits()),
                          bits(m.activation_bits), bits(m.kv_bits), change(study, m), speedup(study, m)});
  return t;
}

Table pruning_table(std::span<const Study> studies) {
  Table t{{{"category", false},
           {"method", false},
           {"model", false},
           {change_title(studies), true},
           {"zeros or parameters gone", true},
           {"compression rate", true},
           {"speed-up (prefill / decode)", true}},
          {}};
  for (const Study& study : studies)
    for (const ModelRecord& m : study.models) {
      if (!m.pruned) continue;
      const double before = double(reference_of(study).size.linear_parameters);
      const double left = double(m.size.linear_parameters) * (1 - m.size.zeros);
      t.rows.push_back({m.category, m.name, reference_of(study).name, change(study, m),
                        before > 0 ? fmt::format("{:.1f} %", 100 * (1 - left / before)) : "-",
                        fmt::format("{:.2f}x", compression_ratio(study, m)), speedup(study, m)});
    }
  return t;
}

std::string survey_report(std::span<const Study> studies, TextForm form) {
  std::string out;
  for (const Table& table : {quantization_table(studies), pruning_table(studies)})
    if (!table.rows.empty()) out += (out.empty() ? "" : "\n") + table_as(form, table);
  return out;
}

Table sweep_numbers_table(std::span<const Study> studies) {
  Table all;
  for (const Study& study : studies) {
    Table t = numbers_table(study);
    t.columns.insert(t.columns.begin(), {"original", false});
    for (auto& row : t.rows) {
      row.insert(row.begin(), reference_of(study).name);
      all.rows.push_back(std::move(row));
    }
    all.columns = std::move(t.columns);
  }
  return all;
}

std::string sweep_report(std::span<const Study> studies, TextForm form) {
  if (form == TextForm::csv) return csv_table(sweep_numbers_table(studies));
  std::string out;
  for (const Study& study : studies) {
    if (studies.size() > 1 && form != TextForm::latex)
      out += (form == TextForm::markdown ? "## " : "") + reference_of(study).name + "\n\n";
    out += study_report(study, form) + "\n";
  }
  return out + survey_report(studies, form);
}

}  // namespace pith::report
