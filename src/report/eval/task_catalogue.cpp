// The table of tasks.
#include <fmt/format.h>

#include "eval/tasks/task.h"
#include "report/catalogue.h"
#include "report/json_values.h"
#include "report/table.h"

namespace pith::report {
namespace {

// "acc, acc_norm"; how an answer is taken out of text is told apart: "exact_match (strict-match)".
std::string metric_names(const Task& task) {
  std::string names;
  for (const Metric* m : task.metrics) {
    if (!names.empty()) names += ", ";
    names += m->name;
    if (m->filter != "none") names += fmt::format(" ({})", m->filter);
  }
  return names;
}

Table task_table() {
  Table table;
  table.columns = {{"task", false}, {"summary", false}, {"scored as", false},
                   {"shots", true}, {"figures", false}, {"prompts of", false}};
  for (const Task* t : all_tasks())
    table.rows.push_back({t->name, t->summary, std::string(output_type_name(t->type)), std::to_string(t->shots),
                          metric_names(*t), t->form});
  return table;
}

}  // namespace

std::string tasks_text() { return text_table(task_table()); }
std::string tasks_markdown() { return markdown_table(task_table()); }

std::string tasks_json() {
  Json tasks = Json::array();
  for (const Task* t : all_tasks()) {
    Json metrics = Json::array();
    for (const Metric* m : t->metrics) metrics.push_back({{"metric", m->name}, {"filter", m->filter}});
    tasks.push_back({{"name", t->name},
                     {"summary", t->summary},
                     {"output_type", output_type_name(t->type)},
                     {"version", t->version},
                     {"num_fewshot", t->shots},
                     {"metrics", std::move(metrics)},
                     {"prompt_form", t->form}});
  }
  return text_of(tasks);
}

}  // namespace pith::report
