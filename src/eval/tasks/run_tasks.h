// Runs tasks on a model.
#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "eval/tasks/task_result.h"
#include "model/model.h"
#include "ops/act/act_codec.h"
#include "ops/kv/kv_codec.h"

namespace pith {

struct TaskOptions {
  std::filesystem::path data;  // the folder of the tasks' files; empty: $PITH_DATA/tasks, else ../shared/data/tasks
  dim limit = 0;               // only the first so many items of a task, of each group of one with groups; 0: all
  dim shots = -1;              // solved examples in front of each item; -1: as the task says
  std::uint64_t seed = 1234;   // which examples; what is generated (passkey)
  dim batch_tokens = 2048;
  bool keep_text = false;  // prompts and choices in the results
  std::optional<KvSpec> kv = {};
  std::optional<ActSpec> activations = {};
  bool fast = false;  // products as FastNetwork makes them
};

// `names`: of tasks (all_tasks() in tasks/task.h), or paths of .jsonl files (own_task) or .json files (big_bench_task).
// All are looked up and read before any is run. Error(input) for names that do not exist, files that are absent or
// damaged. Same numbers for any number of threads.
std::vector<TaskResult> run_tasks(const Model& model, std::span<const std::string> names, const TaskOptions& options,
                                  Progress& progress = no_progress());

// Both runs of one task with the same items. Error(input) when the items differ.
TaskFlips compare_answers(const TaskResult& model, const TaskResult& base);

// McNemar's exact test: twice the smaller tail of a binomial with p = 1/2 over lost + gained, at most 1.
double mcnemar_p_value(dim lost, dim gained);

}  // namespace pith
