// A user's own task: a .jsonl file. Each line is a question in one of these forms, the same in all lines:
//   {"context" or "query": ..., "choices": [...], "gold": 0}                        the likeliest choice
//   {"context_options": [...], "continuation": ..., "gold": 0}                      the likeliest context
//   {"context": ..., "continuation": ...}                                           every token the likeliest
//   {"context" or "query": ..., "answers": [...] or "answer": ...}                  generated
//   {"input": ..., "context": ..., "answers": [...]}                                LongBench's: context, then input
//   {"instruction": ..., "input": ..., "output": ...}                               generated, ROUGE-L
// A question may have "id" and "group". The first line may be {"task": {...}} with any of "description", "delimiter",
// "shots", "until", "max_tokens" and "metric" (exact_match, contains, f1, rougeL, gsm8k).
#include <filesystem>

#include "eval/tasks/sets/forms.h"
#include "eval/tasks/sets/instruction_form.h"

namespace pith {
namespace {

enum class Form { choices, contexts, continuation, generated, long_context, instruction };

Form form_of(const Record& r) {
  if (r.has("instruction")) return Form::instruction;
  if (r.has("context_options")) return Form::contexts;
  if (r.has("choices")) return Form::choices;
  if (r.has("continuation")) return Form::continuation;
  if (r.has("input") && r.has("context") && r.has("answers")) return Form::long_context;
  if (r.has("answers") || r.has("answer")) return Form::generated;
  throw Error(Blame::input, r.where(), "expected 'choices', 'continuation', 'answers' or 'instruction'",
              "docs/evaluation.md shows the forms of a task file");
}

Document make_document(const Record& r, Form form) {
  Document d;
  switch (form) {
    case Form::instruction:
      d = instruction_form(r);
      break;
    case Form::contexts:
      d = contexts_form(r);
      break;
    case Form::continuation:
      d = continuation_form(r);
      break;
    case Form::choices:
      d.choices = r.texts("choices");
      d.gold = r.index("gold", d.choices.size());
      d.context = r.text(r.has("query") ? "query" : "context");
      break;
    case Form::long_context:
    case Form::generated:
      d.answers = r.texts(r.has("answers") ? "answers" : "answer");
      d.solution = d.answers[0];
      d.context = r.text(r.has("query") ? "query" : "context");
      if (form == Form::long_context) d.context += "\n\n" + r.text("input");
      break;
  }
  d.id = r.text_or("id", "");
  if (r.has("group")) d.groups = {r.text("group")};
  return d;
}

dim count_of(const Record& header, const nlohmann::json& value, const char* key) {
  if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > 1e6)
    throw input_error(header.where(), "expected a count as '{}', got {}", key, value.dump());
  return value.get<dim>();
}

// What the first line says of the task.
void apply_header(const Record& header, Task& task, std::string& description) {
  const auto& value = header.value().at("task");
  if (!value.is_object()) throw input_error(header.where(), "expected an object as 'task'");
  const Record h(value, header.where());
  description = h.text_or("description", "");
  task.delimiter = h.text_or("delimiter", task.delimiter);
  if (h.has("until")) task.until = h.texts("until");
  if (h.has("shots")) task.shots = count_of(h, value["shots"], "shots");
  if (h.has("max_tokens")) task.max_tokens = std::max<dim>(count_of(h, value["max_tokens"], "max_tokens"), 1);
  if (h.has("metric")) {
    const Metric* metric = find_metric(h.text("metric"));
    if (!metric)
      throw input_error(header.where(), "expected exact_match, contains, f1, rougeL or gsm8k as 'metric', got '{}'",
                        h.text("metric"));
    task.metrics = {metric};
  }
}

void set_type(Task& task, Form form) {
  if (form == Form::choices || form == Form::contexts) {
    task.type = OutputType::choices;
    task.metrics = {&metric_acc};
    if (form == Form::choices) task.metrics.insert(task.metrics.end(), {&metric_acc_norm, &metric_acc_bytes});
  } else if (form == Form::continuation) {
    task.type = OutputType::continuation;
    task.metrics = {&metric_acc_greedy, &metric_perplexity};
  } else {
    task.type = OutputType::generation;
    if (task.metrics.empty()) {
      if (form == Form::instruction)
        task.metrics = {&metric_rouge_l, &metric_exact};
      else
        task.metrics = {&metric_exact, &metric_contains, &metric_token_f1, &metric_rouge_l};
    }
  }
}

}  // namespace

Task own_task(const std::string& path) {
  Task task;
  task.name = std::filesystem::path(path).stem().string();
  task.summary = path;
  task.form = "as the file says";
  task.until = {"\n"};
  TaskFiles files{std::filesystem::path(".")};
  std::vector<Record> records = read_jsonl(files.read_path(path), path);
  std::string description;
  std::size_t first = 0;
  if (records[0].has("task")) apply_header(records[first++], task, description);
  if (first == records.size()) throw input_error(path, "expected questions after the first line, got none");
  const Form form = form_of(records[first]);
  set_type(task, form);
  std::vector<Document> documents;
  for (std::size_t i = first; i < records.size(); ++i) {
    if (form_of(records[i]) != form) throw input_error(records[i].where(), "expected the form of the lines before");
    documents.push_back(make_document(records[i], form));
    documents.back().description = description;
  }
  task.load = [path, documents = std::move(documents)](TaskSource& source) {
    source.files.read_path(path);  // for the hash
    return TaskData{documents, {}};
  };
  return task;
}

}  // namespace pith
