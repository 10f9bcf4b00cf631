#include "report/study/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "core/error.h"
#include "report/chart/svg.h"
#include "report/human.h"
#include "report/study/statistics.h"

namespace pith::report {
namespace {

constexpr double kManyZeros = 0.4;  // codes of few bits are zero often enough without any pruning

// One column: its title, and what a model has in it; empty where nothing was measured.
struct Field {
  std::string title;
  bool right = true;
  std::function<std::string(const ModelRecord&)> cell;
};

// Columns in which no model has anything are left out.
Table table_of(const Study& study, const std::vector<Field>& all) {
  Table table;
  std::vector<const Field*> shown;
  for (const Field& f : all) {
    const auto models = all_of(study);
    if (std::none_of(models.begin(), models.end(), [&](const ModelRecord* m) { return !f.cell(*m).empty(); })) continue;
    table.columns.push_back({f.title, f.right});
    shown.push_back(&f);
  }
  for (const ModelRecord* m : all_of(study)) {
    std::vector<std::string> cells;
    for (const Field* f : shown) cells.push_back(f->cell(*m));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string number(double v, int digits) { return std::isfinite(v) ? fmt::format("{:.{}f}", v, digits) : ""; }
std::string positive(double v, const char* form) { return v > 0 ? fmt::format(fmt::runtime(form), v) : ""; }

std::string interval(const Interval& i, int digits) {
  return i.half_width > 0 ? plus_minus(i.mean, i.half_width, digits) : number(i.mean, digits);
}

const DivergenceRecord* divergence_of(const ModelRecord& m) {
  return m.quality && m.quality->against_base ? &*m.quality->against_base : nullptr;
}

std::string delta_text(const Study& study, const ModelRecord& m) {
  const auto delta = delta_perplexity(study, m);
  return delta && &m != &reference_of(study) ? fmt::format("{:+.3f}", *delta) : "";
}

std::string task_text(const ModelRecord& m, const std::string& name) {
  for (const TaskRecord& t : m.tasks)
    if (t.name == name)
      return t.error > 0 ? plus_minus(100 * t.value, 196 * t.error, 1) : fmt::format("{:.1f}", 100 * t.value);
  return "";
}

std::set<std::string> task_names(const Study& study) {
  std::set<std::string> names;
  for (const ModelRecord* m : all_of(study))
    for (const TaskRecord& t : m->tasks) names.insert(t.name);
  return names;
}

std::vector<Field> size_fields(const Study& study) {
  return {{"model", false, [](const auto& m) { return m.name; }},
          {"file", true, [](const auto& m) { return human_bytes(m.size.file_bytes); }},
          {"smaller", true, [&](const auto& m) { return positive(compression_ratio(study, m), "{:.2f}x"); }},
          {"bits: linears", true, [](const auto& m) { return number(m.size.linear_bits(), 2); }},
          {"all", true, [](const auto& m) { return number(m.size.bits(), 2); }},
          {"zeros %", true,
           [](const auto& m) { return m.pruned || m.size.zeros > kManyZeros ? number(100 * m.size.zeros, 1) : ""; }}};
}

std::vector<Field> quality_fields(const Study& study) {
  return {{"perplexity", true, [](const auto& m) { return m.quality ? interval(m.quality->perplexity, 3) : ""; }},
          {"ΔPPL", true, [&](const auto& m) { return delta_text(study, m); }},
          {"KL", true, [](const auto& m) { return divergence_of(m) ? interval(divergence_of(m)->kl, 4) : ""; }},
          {"KL 99 %", true, [](const auto& m) { return divergence_of(m) ? number(divergence_of(m)->p99, 3) : ""; }},
          {"same top %", true,
           [](const auto& m) { return divergence_of(m) ? number(100 * divergence_of(m)->top1.mean, 1) : ""; }}};
}

std::vector<Field> speed_fields(const Study& study) {
  return {{"prefill t/s", true, [](const auto& m) { return m.speed ? positive(m.speed->prefill, "{:.0f}") : ""; }},
          {"decode t/s", true, [](const auto& m) { return m.speed ? positive(m.speed->decode, "{:.1f}") : ""; }},
          {"faster: prefill", true, [&](const auto& m) { return positive(prefill_speedup(study, m), "{:.2f}x"); }},
          {"decode", true, [&](const auto& m) { return positive(decode_speedup(study, m), "{:.2f}x"); }},
          {"peak RAM", true,
           [](const auto& m) { return m.speed && m.speed->peak_ram > 0 ? human_bytes(m.speed->peak_ram) : ""; }}};
}

void add(std::vector<Field>& all, std::vector<Field> more) {
  for (Field& f : more) all.push_back(std::move(f));
}

std::string p_text(double p) { return p < 0.0005 ? "< 0.001" : fmt::format("{:.3f}", p); }

std::string range_text(const PairedTest& t) {
  if (!std::isfinite(t.low)) return "one window";
  return fmt::format("{:+.5f} ({:+.5f} to {:+.5f})", t.difference, t.low, t.high);
}

}  // namespace

Table models_table(const Study& study) {
  std::vector<Field> fields = size_fields(study);
  add(fields, quality_fields(study));
  add(fields, speed_fields(study));
  fields.push_back(
      {"made in", true, [](const auto& m) { return m.compress_seconds > 0 ? human_seconds(m.compress_seconds) : ""; }});
  for (const std::string& task : task_names(study))
    fields.push_back({task + " %", true, [task](const auto& m) { return task_text(m, task); }});
  return table_of(study, fields);
}

Table pairs_table(const Study& study) {
  Table t{{{"is", false}, {"better than", false}, {"nats per token", true}, {"p", true}}, {}};
  const bool kl = has_divergence(study);
  if (kl)
    t.columns.insert(t.columns.end(), {{"KL", true}, {"p of KL", true}, {"answer", false}});
  else
    t.columns.push_back({"answer", false});
  for (const PairRow& row : paired_rows(study)) {
    std::vector<std::string> cells = {row.first, row.second, range_text(*row.nll), p_text(row.nll_p)};
    if (kl) {
      cells.push_back(row.kl ? range_text(*row.kl) : "");
      cells.push_back(row.kl ? p_text(row.kl_p) : "");
    }
    const PairedTest& deciding = row.kl ? *row.kl : *row.nll;
    const double p = row.kl ? row.kl_p : row.nll_p;
    cells.push_back(p >= 0.05 ? "not shown" : deciding.difference < 0 ? "yes" : "no, worse");
    t.rows.push_back(std::move(cells));
  }
  return t;
}

Table flips_table(const Study& study) {
  Table t{{{"task", false},
           {"model", false},
           {"against", false},
           {"items", true},
           {"lost", true},
           {"gained", true},
           {"p", true}},
          {}};
  for (const TaskPair& p : task_pairs(study))
    t.rows.push_back({p.task, p.model, p.base, fmt::to_string(p.items), fmt::to_string(p.lost),
                      fmt::to_string(p.gained), p_text(p.p)});
  return t;
}

Table missing_table(const Study& study) {
  Table t{{{"not measured", false}, {"why", false}}, {}};
  for (const MissingModel& m : study.missing) t.rows.push_back({m.name, shortened(m.why, 300)});
  return t;
}

Facts conditions_of(const Study& study) {
  Facts facts;
  if (!study.protocol.empty()) facts.emplace_back("protocol", fmt::format("{}: {}", study.protocol, study.conditions));
  if (!study.text_name.empty())
    facts.emplace_back("text", fmt::format("{}, sha256 {}", study.text_name, study.text_hash));
  if (study.speed_runs > 0)
    facts.emplace_back("speed", fmt::format("prompt of {}, {} written, medians of {} runs, {} threads",
                                            study.speed_prompt, study.speed_generate, study.speed_runs,
                                            reference_of(study).speed ? reference_of(study).speed->threads : 0));
  facts.emplace_back(
      "machine", fmt::format("{}, {} processors, {} of memory, {} kernels", study.machine.processor,
                             study.machine.processors, human_bytes(study.machine.ram_bytes), study.machine.kernels));
  if (study.peaks.threads > 0)
    facts.emplace_back(
        "peaks",
        fmt::format("f32 {:.0f}, bf16 {:.0f}, int8 {:.0f} billion operations/s; memory {:.1f} GB/s",
                    study.peaks.f32 / 1e9, study.peaks.bf16 / 1e9, study.peaks.int8 / 1e9, study.peaks.read / 1e9));
  facts.emplace_back("program", "pith " PITH_VERSION);
  return facts;
}

static std::string note_of(const Study& study) {
  const std::size_t windows = reference_of(study).quality ? reference_of(study).quality->by_window.size() : 0;
  const std::string few = windows < 10 ? fmt::format(" With {} windows no p is below {:.2g} before that.", windows,
                                                     std::exp2(1.0 - double(windows)))
                                       : "";
  return fmt::format(
      "Differences are first - second, with 95 % intervals of the paired bootstrap over {} windows (seed {}); p: "
      "randomization of signs, adjusted for the number of pairs (Holm).{}",
      windows, study.seed, few);
}

std::string study_report(const Study& study, TextForm form) {
  if (form == TextForm::csv) return csv_table(numbers_table(study));
  const Table models = models_table(study), pairs = pairs_table(study), flips = flips_table(study);
  if (form == TextForm::latex)
    return latex_table(models) + (pairs.rows.empty() ? "" : "\n" + latex_table(pairs)) +
           (flips.rows.empty() ? "" : "\n" + latex_table(flips));
  const bool text = form == TextForm::text;
  const auto show = [&](const Table& t) { return table_as(form, t); };
  std::string out = show(models);
  if (!pairs.rows.empty()) out += "\n" + show(pairs) + (text ? "" : "\n") + note_of(study) + "\n";
  if (!flips.rows.empty()) out += "\n" + show(flips);
  if (!study.missing.empty()) out += "\n" + show(missing_table(study));
  const Facts facts = conditions_of(study);
  return out + "\n" + (text ? text_facts(facts) : markdown_facts(facts));
}

}  // namespace pith::report
