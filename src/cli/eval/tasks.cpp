#include "cli/eval/tasks.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output_files.h"
#include "core/error.h"
#include "eval/tasks/judge.h"
#include "eval/tasks/task.h"
#include "report/eval/tasks.h"

namespace pith::cli {

namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : list + ",") {
    if (c != ',') {
      name += c;
    } else if (!name.empty()) {
      names.push_back(std::exchange(name, ""));
    }
  }
  return names;
}

void write_samples(const std::filesystem::path& target, const report::TaskReport& r) {
  std::string all;
  const bool one_file = target.extension() == ".jsonl";
  std::error_code fault;
  if (!one_file) std::filesystem::create_directories(target, fault);
  if (fault) throw Error(Blame::environment, target.string(), "cannot be made a folder: " + fault.message());
  for (const TaskResult& result : r.results) {
    const std::string lines = report::samples_jsonl(result);
    if (one_file)
      all += lines;
    else
      write_whole(target / ("samples_" + result.name + ".jsonl"), lines);
  }
  if (one_file) return write_whole(target, all);
  write_whole(target / "results.json", report::tasks_json(r));
}

}  // namespace

void add_task_options(CLI::App& app, TaskArguments& a) {
  std::string names;
  for (const Task* task : all_tasks()) names += (names.empty() ? "" : ", ") + task->name;
  app.add_option("--tasks", a.tasks, "tasks and files (.jsonl, BIG-bench's .json), separated by commas: " + names)
      ->group("Tasks");
  app.add_option("--task-data", a.options.data, "the folder with the tasks' files (else $PITH_DATA/tasks)")
      ->check(CLI::ExistingDirectory)
      ->group("Tasks");
  app.add_option("--limit", a.options.limit, "only the first N items of a task, or of each of its groups (0: all)")
      ->check(CLI::NonNegativeNumber)
      ->group("Tasks");
  app.add_option("--shots", a.options.shots, "solved examples before each item (else as the task says)")
      ->check(CLI::NonNegativeNumber)
      ->group("Tasks");
  app.add_option("--seed", a.options.seed, "of the choice of examples, and of tasks that are generated")
      ->capture_default_str()
      ->group("Tasks");
  app.add_option(
         "--log-samples", a.log_samples,
         "write every item with prompt, log-likelihoods and answer: a .jsonl file, or a folder with results.json and "
         "samples_TASK.jsonl as lm-evaluation-harness makes it")
      ->group("Tasks");
  app.add_option("--judge", a.judge,
                 "a model that says, of each generated answer, whether it is better than that of --against")
      ->group("Tasks");
}

namespace {

std::vector<TaskVerdicts> judge_all(const std::string& path, std::span<const TaskResult> results,
                                    std::span<const TaskResult> base, const TaskOptions& options) {
  const Model model = Model::open(path);
  Likelihoods judge(model, {.batch_tokens = options.batch_tokens});
  std::vector<TaskVerdicts> out;
  for (std::size_t t = 0; t < results.size(); ++t)
    if (results[t].output_type == output_type_name(OutputType::generation))
      out.push_back(judge_answers(judge, results[t], base[t], terminal_progress()));
  if (out.empty())
    throw input_error("--judge", "expected tasks that generate answers, none of {} does", results.size());
  return out;
}

}  // namespace

void run_and_print_tasks(const std::vector<std::string>& models, const std::string& against, TaskArguments a,
                         bool json) {
  const std::vector<std::string> names = split(a.tasks);
  a.options.keep_text = !a.log_samples.empty() || !a.judge.empty();
  if (!a.judge.empty() && against.empty())
    throw input_error("--judge", "expected --against, whose answers are the other ones");
  if (models.size() > 1 && !a.log_samples.empty())
    throw input_error("--log-samples", "expected one model, got {}", models.size());
  std::vector<TaskResult> base;
  if (!against.empty()) {
    TaskOptions plain = a.options;  // a base runs as it is
    plain.kv = KvSpec();
    plain.activations.reset();
    plain.fast = false;
    base = run_tasks(Model::open(against), names, plain, terminal_progress());
  }
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& path : models) {
    report::TaskReport r{path, against, a.options, {}, base, {}, {}, a.judge};
    r.results = run_tasks(Model::open(path), names, a.options, terminal_progress());
    for (std::size_t t = 0; t < base.size(); ++t) r.flips.push_back(compare_answers(r.results[t], base[t]));
    if (!a.judge.empty()) r.verdicts = judge_all(a.judge, r.results, base, a.options);
    terminal_progress().end();
    if (!a.log_samples.empty()) write_samples(a.log_samples, r);
    if (json)
      all.push_back(nlohmann::ordered_json::parse(report::tasks_json(r)));
    else
      print((models.size() > 1 ? path + "\n" : "") + report::tasks_text(r));
  }
  if (json) print((models.size() > 1 ? all : all[0]).dump(2) + "\n");
}

}  // namespace pith::cli
