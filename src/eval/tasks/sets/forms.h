// Forms that several tasks' files share: the schemas of llm-foundry's jsonl.
#pragma once
#include "core/error.h"
#include "eval/tasks/task.h"

namespace pith {

// A document of each record of the first file that exists.
template <class Make>
TaskData documents_of(TaskSource& source, std::initializer_list<std::string_view> files, Make make) {
  TaskData data;
  const std::string text = source.files.read(files);
  for (const Record& record : read_jsonl(text, source.files.last())) data.documents.push_back(make(record));
  return data;
}

// {query, choices, gold}
inline Document choices_form(const Record& record) {
  Document d;
  d.context = record.text("query");
  d.choices = record.texts("choices");
  d.gold = record.index("gold", d.choices.size());
  return d;
}

// {context_options, continuation, gold}: the contexts are chosen from
inline Document contexts_form(const Record& record) {
  Document d;
  d.contexts = record.texts("context_options");
  d.choices = {record.text("continuation")};
  d.gold = record.index("gold", d.contexts.size());
  return d;
}

// {context, continuation}
inline Document continuation_form(const Record& record) {
  Document d;
  d.context = record.text("context");
  d.choices = {record.text("continuation")};
  return d;
}

inline void cut_ending(std::string& text, std::string_view ending) {
  if (text.ends_with(ending)) text.resize(text.size() - ending.size());
}

// Error(input) where the text does not begin so; else what follows.
inline std::string after(const std::string& text, std::string_view beginning, const Record& record) {
  if (!text.starts_with(beginning)) throw input_error(record.where(), "expected a text that begins '{}'", beginning);
  return text.substr(beginning.size());
}

}  // namespace pith
