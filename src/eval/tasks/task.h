// A task is data and one small file in sets/: how its records become questions, and which figures are made of the
// answers. One line in tasks.def registers it.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/tasks/document.h"
#include "eval/tasks/metrics.h"
#include "eval/tasks/task_files.h"
#include "io/tokenizer.h"

namespace pith {

enum class OutputType { choices, continuation, generation };
std::string_view output_type_name(OutputType type);  // lm-evaluation-harness's word: "multiple_choice", ...

struct TaskData {
  std::vector<Document> documents;
  std::vector<Document> examples;  // solved ones, of the same groups; empty: the other documents serve
};

struct TaskSource {
  TaskFiles& files;
  const Tokenizer& tokenizer;
  dim context = 0;  // of the model; 0: unknown
  std::uint64_t seed = 0;
};

struct Task {
  std::string name;
  std::string summary;
  std::string form = "lm-evaluation-harness";  // of the prompt, and what differs where something does
  std::string version = "1.0";                 // of the harness's definition, where it has one
  OutputType type = OutputType::choices;
  std::vector<const Metric*> metrics;  // the first is the one to quote
  std::function<TaskData(TaskSource&)> load;
  dim shots = 0;                           // unless the user says otherwise
  bool first_examples = false;             // the first ones serve, for all; else drawn anew for each document
  std::string delimiter = " ";             // between context and answer
  std::string example_delimiter = "\n\n";  // after each example
  // Of generated answers: they end before any of these, or after so many tokens.
  std::vector<std::string> until = {"\n\n"};
  dim max_tokens = 256;
};

std::span<const Task* const> all_tasks();
const Task* find_task(std::string_view name);  // null: no such task

// A user's own file; see sets/own_task.cpp for the schema. Named by the file's name.
Task own_task(const std::string& path);
// A BIG-bench task.json, or a BIG-bench Hard file; named by its file, or by its folder where it is a task.json.
Task big_bench_task(const std::string& path);

}  // namespace pith
