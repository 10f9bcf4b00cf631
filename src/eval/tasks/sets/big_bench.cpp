// Tasks as BIG-bench writes them (task.json) and BIG-bench Hard after it: {"examples": [...]}, each example
//   {"input": ..., "target_scores": {"a choice": 1, "another": 0}}   the likeliest choice; several may have the best
//   score
//   {"input": ..., "target": "text" or [texts]}                      generated, exact match
// with BIG-bench's "task_prefix", "example_input_prefix", "example_output_prefix", "choice_prefix" and
// "append_choices_to_input" (bigbench/api/json_task.py), and their defaults there. Choices are listed in alphabetical
// order, where that code draws one.
#include <fmt/format.h>

#include <filesystem>

#include "core/error.h"
#include "eval/tasks/task.h"
#include "io/json.h"

namespace pith {
namespace {

struct Wording {
  std::string description, input_prefix, output_prefix, choice_prefix;
  bool lists_choices = true;
};

Wording wording_of(const Record& file) {
  Wording w = {file.text_or("task_prefix", ""), file.text_or("example_input_prefix", "\nQ: "),
               file.text_or("example_output_prefix", "\nA: "), file.text_or("choice_prefix", "\n  choice: ")};
  if (!file.has("append_choices_to_input")) return w;
  const auto& lists = file.value()["append_choices_to_input"];
  if (!lists.is_boolean())
    throw input_error(file.where(), "expected true or false as 'append_choices_to_input', got {}", lists.type_name());
  w.lists_choices = lists.get<bool>();
  return w;
}

void add_choices(Document& d, const Record& example) {
  const auto& scores = example.value()["target_scores"];
  if (!scores.is_object() || scores.empty())
    throw input_error(example.where(), "expected an object of choices as 'target_scores', got {}", scores.type_name());
  double best = 0;
  for (const auto& [choice, score] : scores.items()) {
    if (!score.is_number()) throw input_error(example.where(), "expected a number as the score of '{}'", choice);
    if (d.choices.empty() || score.get<double>() > best) {
      best = score.get<double>();
      d.gold = int(d.choices.size());
    }
    d.choices.push_back(choice);
  }
  for (const auto& [choice, score] : scores.items()) d.right.push_back(score.get<double>() == best);
}

// Newlines in front of the first question, and space behind the last word, are the delimiters' part.
Document document_of(const Record& example, const Wording& w, bool choices) {
  Document d;
  if (choices) {
    add_choices(d, example);
  } else {
    d.answers = example.texts("target");
    d.solution = d.answers[0];
  }
  d.context = w.input_prefix + example.text("input");
  if (w.lists_choices)
    for (const std::string& choice : d.choices) d.context += w.choice_prefix + choice;
  d.context += w.output_prefix;
  d.context.erase(0, d.context.find_first_not_of('\n'));
  d.context.erase(d.context.find_last_not_of(" \n") + 1);
  d.description = w.description;
  return d;
}

}  // namespace

Task big_bench_task(const std::string& path) {
  TaskFiles files{std::filesystem::path(".")};
  const Record file(parse_json(files.read_path(path), path), path);
  if (!file.has("examples") || !file.value()["examples"].is_array() || file.value()["examples"].empty())
    throw Error(Blame::input, path, "expected a list 'examples', as BIG-bench's task.json has it",
                "docs/evaluation.md shows the forms of a task file");
  const Wording wording = wording_of(file);
  Task task;
  const std::filesystem::path name(path);
  task.name = (name.stem() == "task" && name.has_parent_path() ? name.parent_path().filename() : name.stem()).string();
  task.summary = path;
  task.form = "BIG-bench";
  task.delimiter = wording.output_prefix.ends_with('\n') ? "\n" : " ";
  task.until = {"\n"};
  std::vector<Document> documents;
  bool choices = false;
  for (const auto& value : file.value()["examples"]) {
    const Record example(value, fmt::format("{}, example {}", path, documents.size()));
    const bool has_choices = example.has("target_scores");
    if (documents.empty()) choices = has_choices;
    if (has_choices != choices) throw input_error(example.where(), "expected the form of the examples before");
    documents.push_back(document_of(example, wording, choices));
  }
  task.type = choices ? OutputType::choices : OutputType::generation;
  if (choices)
    task.metrics = {&metric_acc, &metric_acc_norm, &metric_acc_bytes};
  else
    task.metrics = {&metric_exact, &metric_contains, &metric_rouge_l};
  task.load = [path, documents = std::move(documents)](TaskSource& source) {
    source.files.read_path(path);  // for the hash
    return TaskData{documents, {}};
  };
  return task;
}

}  // namespace pith
