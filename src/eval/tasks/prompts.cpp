#include "eval/tasks/prompts.h"

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"

namespace pith {
namespace {

std::string group_of(const Document& d) { return d.groups.empty() ? "" : d.groups.back(); }

}  // namespace

PromptWriter::PromptWriter(const Task& task, const TaskData& data, dim shots, std::uint64_t seed)
    : task_(task), data_(data), shots_(shots), seed_(seed), own_(data.examples.empty()) {
  if (shots == 0) return;
  const auto& examples = own_ ? data.documents : data.examples;
  for (std::size_t i = 0; i < examples.size(); ++i) pools_[group_of(examples[i])].push_back(dim(i));
  for (const Document& d : data.documents) {
    const auto pool = pools_.find(group_of(d));
    const dim there = pool == pools_.end() ? 0 : dim(pool->second.size()) - (own_ ? 1 : 0);
    if (there < shots)
      throw input_error("tasks", "expected at least {} examples for {}{}{}, got {}", shots, task.name,
                        d.groups.empty() ? "" : " of group ", group_of(d), there);
  }
}

std::vector<dim> PromptWriter::pick(dim index) const {
  const auto& pool = pools_.at(group_of(data_.documents[std::size_t(index)]));
  std::vector<dim> picked;
  Rng rng(mix64(seed_, std::uint64_t(index)));
  for (dim at = 0; dim(picked.size()) < shots_;) {
    const dim candidate = pool[std::size_t(task_.first_examples ? at++ : rng.below(dim(pool.size())))];
    if (own_ && candidate == index) continue;
    if (std::find(picked.begin(), picked.end(), candidate) == picked.end()) picked.push_back(candidate);
  }
  return picked;
}

std::string PromptWriter::solved(const Document& d) const {
  const std::string& context = d.contexts.empty() ? d.context : d.contexts[std::size_t(d.gold)];
  const std::string& answer = task_.type == OutputType::generation ? d.solution
                              : d.contexts.empty() && d.gold >= 0  ? d.choices[std::size_t(d.gold)]
                                                                   : d.choices[0];
  return context + task_.delimiter + answer;
}

Prompt PromptWriter::write(dim index) const {
  const Document& d = data_.documents[std::size_t(index)];
  std::string before = d.description;
  if (shots_ > 0) {
    const auto& examples = own_ ? data_.documents : data_.examples;
    for (const dim i : pick(index)) before += solved(examples[std::size_t(i)]) + task_.example_delimiter;
  }
  Prompt prompt;
  if (d.contexts.empty())
    prompt.contexts = {before + d.context};
  else
    for (const std::string& context : d.contexts) prompt.contexts.push_back(before + context);
  if (task_.type == OutputType::generation) {
    prompt.target = d.answers.empty() ? "" : d.answers[0];
    return prompt;
  }
  for (const std::string& choice : d.choices) prompt.continuations.push_back(task_.delimiter + choice);
  prompt.target = d.contexts.empty() && d.gold >= 0 ? d.choices[std::size_t(d.gold)] : d.choices[0];
  return prompt;
}

}  // namespace pith
