// The part of `pith eval` that runs tasks.
#pragma once
#include <string>
#include <vector>

#include "eval/tasks/run_tasks.h"

namespace CLI {
class App;
}

namespace pith::cli {

struct TaskArguments {
  std::string tasks;  // names and files, separated by commas; empty: no tasks
  std::string log_samples;
  std::string judge;  // a model that compares generated answers with the base's; empty: none
  TaskOptions options;
};
void add_task_options(CLI::App& app, TaskArguments& arguments);

// Runs them on each model, and on the base where `against` is not empty; prints a table, or JSON.
void run_and_print_tasks(const std::vector<std::string>& models, const std::string& against, TaskArguments arguments,
                         bool json);

}  // namespace pith::cli
