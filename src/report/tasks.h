// Results of tasks: a table, and the layout in which lm-evaluation-harness writes them.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "eval/tasks/run_tasks.h"

namespace pith::report {

// One model's results, beside its base's where there is one.
struct TaskReport {
  std::string model;
  std::string against;  // empty: no base
  TaskOptions options;
  std::vector<TaskResult> results;
  std::vector<TaskResult> base_results;
  std::vector<TaskFlips> flips;  // of each result, with a base
};

std::string tasks_text(const TaskReport& report);
// {"results": {"piqa": {"alias": ..., "acc,none": ..., "acc_stderr,none": ...}}, "groups", "configs", "versions",
// "n-shot", "higher_is_better", "n-samples", "config"}, and of ours "flips" and "base_results".
std::string tasks_json(const TaskReport& report);
// A line an item, with prompts, log-likelihoods and figures; needs results with TaskOptions::keep_text.
std::string samples_jsonl(std::span<const TaskResult> results);

}  // namespace pith::report
