// Results of tasks: a table, and the layout in which lm-evaluation-harness writes them.
#pragma once
#include <string>
#include <vector>

#include "eval/tasks/judge.h"
#include "eval/tasks/run_tasks.h"

namespace pith::report {

// One model's results, beside its base's where there is one.
struct TaskReport {
  std::string model;
  std::string against;  // empty: no base
  TaskOptions options;
  std::vector<TaskResult> results;
  std::vector<TaskResult> base_results;
  std::vector<TaskFlips> flips;        // of each result, with a base
  std::vector<TaskVerdicts> verdicts;  // of those that generate, with a judge
  std::string judge;
};

std::string tasks_text(const TaskReport& report);
// The harness's results file: "results", "groups" (of tasks that have groups), "group_subtasks", "configs", "versions",
// "n-shot", "higher_is_better", "n-samples", "config"; and of ours "flips", "base_results" and "verdicts".
std::string tasks_json(const TaskReport& report);
// The harness's samples: a line an item and filter, with prompts, log-likelihoods and figures; and of ours "task",
// "answer" and "correct". Needs a result with TaskOptions::keep_text.
std::string samples_jsonl(const TaskResult& result);

}  // namespace pith::report
