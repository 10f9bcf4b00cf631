#include "report/eval/tasks.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "report/table.h"

namespace pith::report {
namespace {

using nlohmann::ordered_json;

// Scores between 0 and 1 as percent; perplexity as it is.
std::string figure(const TaskMetric& m) {
  const double half = 1.96 * m.standard_error;
  if (m.name == "perplexity") return fmt::format("{:.3f} ± {:.3f}", m.value, half);
  return fmt::format("{:.2f} ± {:.2f} %", 100 * m.value, 100 * half);
}

std::string label(const TaskMetric& m) { return m.filter == "none" ? m.name : m.name + ", " + m.filter; }

ordered_json figures(const std::string& name, const std::string& alias, const std::vector<TaskMetric>& metrics,
                     dim items) {
  ordered_json out = {{"name", name}, {"alias", alias}, {"sample_len", items}};
  for (const TaskMetric& m : metrics) {
    out[m.name + "," + m.filter] = m.value;
    out[m.name + "_stderr," + m.filter] = m.standard_error;
  }
  return out;
}

std::string group_name(const TaskResult& r, const std::string& group) {
  return group.empty() ? r.name : r.name + "_" + group;
}

ordered_json all_figures(std::span<const TaskResult> results) {
  ordered_json out = ordered_json::object();
  for (const TaskResult& r : results) {
    out[r.name] = figures(r.name, r.name, r.metrics, dim(r.items.size()));
    for (const TaskGroup& g : r.groups) {
      const std::string name = group_name(r, g.name);
      out[name] = figures(name, g.name, g.metrics, g.items);
    }
  }
  return out;
}

ordered_json config_of(const TaskReport& report) {
  const TaskOptions& o = report.options;
  ordered_json arguments = {{"pretrained", report.model}};
  arguments["kv"] = o.kv ? o.kv->text() : "as the model says";
  arguments["activations"] = o.activations ? o.activations->text() : "as the model says";
  arguments["fast"] = o.fast;
  ordered_json config = {{"model", "pith"}, {"model_args", std::move(arguments)}};
  config["batch_size"] = nullptr;
  config["device"] = "cpu";
  config["limit"] = o.limit > 0 ? ordered_json(o.limit) : ordered_json(nullptr);
  config["fewshot_seed"] = o.seed;
  return config;
}

// The harness has numbers there.
ordered_json version_of(const TaskResult& r) {
  double version = 0;
  const auto end = r.version.data() + r.version.size();
  return std::from_chars(r.version.data(), end, version).ptr == end ? ordered_json(version) : ordered_json(r.version);
}

ordered_json task_config(const TaskResult& r) {
  ordered_json metrics = ordered_json::array();
  for (const TaskMetric& m : r.metrics)
    metrics.push_back({{"metric", m.name},
                       {"aggregation", m.name == "perplexity" ? "perplexity" : "mean"},
                       {"higher_is_better", m.higher_is_better},
                       {"filter", m.filter}});
  return {
      {"task", r.name},
      {"output_type", r.output_type},
      {"num_fewshot", r.shots},
      {"metric_list", std::move(metrics)},
      {"metadata",
       {{"version", version_of(r)}, {"summary", r.summary}, {"prompt_form", r.form}, {"data_sha256", r.data_hash}}}};
}

// Groups with groups in them, and tasks with groups, have figures under "groups", too.
void add_groups(ordered_json& out, const TaskResult& r) {
  for (const TaskGroup& g : r.groups) {
    const std::string parent = group_name(r, g.parent);
    out["group_subtasks"][parent].push_back(group_name(r, g.name));
    out["groups"][parent] = out["results"][parent];
  }
}

std::string verdict_text(const TaskVerdicts& v, const std::string& judge) {
  return fmt::format(
      "\n{}, judged by {}: {} won, {} lost, {} tied ({} of them the same answers); {:.1f} ± {:.1f} % of {} items, ties "
      "as halves; p {:.3g} by the sign test; its letter likelier by {:.3f} ± {:.3f} nats",
      v.task, judge, v.won, v.lost, v.tied, v.same, 100 * v.share, 196 * v.standard_error, v.items, v.p_value,
      v.preference, 1.96 * v.preference_error);
}

ordered_json json_of(const TaskVerdicts& v) {
  return {{"items", v.items},
          {"won", v.won},
          {"lost", v.lost},
          {"tied", v.tied},
          {"same", v.same},
          {"share", v.share},
          {"share_stderr", v.standard_error},
          {"sign_test_p", v.p_value},
          {"preference", v.preference},
          {"preference_stderr", v.preference_error},
          {"preferences", v.preferences}};
}

}  // namespace

std::string tasks_text(const TaskReport& report) {
  const bool paired = !report.against.empty();
  Table table;
  table.columns = {{"task", false}, {"items", true}, {"shots", true}, {"figure", false}, {"value", true}};
  if (paired)
    for (const char* title : {"base", "changed", "lost", "gained", "p"}) table.columns.push_back({title, true});
  for (std::size_t t = 0; t < report.results.size(); ++t) {
    const TaskResult& r = report.results[t];
    for (std::size_t m = 0; m < r.metrics.size(); ++m) {
      std::vector<std::string> cells = {m ? "" : r.name, m ? "" : std::to_string(r.items.size()),
                                        m ? "" : std::to_string(r.shots), label(r.metrics[m]), figure(r.metrics[m])};
      if (paired) cells.push_back(figure(report.base_results[t].metrics[m]));
      if (paired && m == 0) {
        const TaskFlips& f = report.flips[t];
        for (const dim count : {f.changed, f.lost, f.gained}) cells.push_back(std::to_string(count));
        cells.push_back(fmt::format("{:.3g}", f.p_value));
      }
      cells.resize(table.columns.size());
      table.rows.push_back(std::move(cells));
    }
    for (const TaskGroup& g : r.groups) {
      std::vector<std::string> cells = {"  " + g.name, std::to_string(g.items), "", label(g.metrics[0]),
                                        figure(g.metrics[0])};
      cells.resize(table.columns.size());
      table.rows.push_back(std::move(cells));
    }
  }
  std::string out = text_table(table);
  out += "\n± half a 95 % interval over items";
  if (paired) out += "; lost, gained: right before, or now; p: McNemar's exact test";
  for (const TaskVerdicts& v : report.verdicts) out += verdict_text(v, report.judge);
  for (const TaskResult& r : report.results) {
    out += fmt::format("\n{}: prompts of {}; {:.1f} s, {:.2f} items/s", r.name, r.form, r.seconds,
                       r.seconds > 0 ? double(r.items.size()) / r.seconds : 0);
    if (r.truncated > 0) out += fmt::format("; {} contexts lost their beginning to the model's limit", r.truncated);
  }
  return out + "\n";
}

std::string tasks_json(const TaskReport& report) {
  ordered_json out;
  out["results"] = all_figures(report.results);
  out["group_subtasks"] = ordered_json::object();
  for (const char* key : {"configs", "versions", "n-shot", "higher_is_better", "n-samples"})
    out[key] = ordered_json::object();
  for (const TaskResult& r : report.results) {
    add_groups(out, r);
    out["configs"][r.name] = task_config(r);
    out["versions"][r.name] = version_of(r);
    out["n-shot"][r.name] = r.shots;
    for (const TaskMetric& m : r.metrics) out["higher_is_better"][r.name][m.name] = m.higher_is_better;
    out["n-samples"][r.name] = {{"original", r.items_in_data}, {"effective", r.items.size()}};
  }
  out["config"] = config_of(report);
  double seconds = 0;
  for (const TaskResult& r : report.results) seconds += r.seconds;
  out["model_source"] = "pith";
  out["model_name"] = report.model;
  out["total_evaluation_time_seconds"] = fmt::format("{}", seconds);  // text, as the harness has it
  if (!report.against.empty()) {
    out["against"] = report.against;
    out["base_results"] = all_figures(report.base_results);
    for (const TaskFlips& f : report.flips)
      out["flips"][f.task] = {
          {"items", f.items}, {"changed", f.changed}, {"lost", f.lost}, {"gained", f.gained}, {"mcnemar_p", f.p_value}};
  }
  if (!report.judge.empty()) out["judge"] = report.judge;
  for (const TaskVerdicts& v : report.verdicts) out["verdicts"][v.task] = json_of(v);
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace pith::report
