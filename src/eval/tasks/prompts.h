// Documents as the texts that a model is asked.
#pragma once
#include <string>
#include <vector>

#include "eval/tasks/task.h"

namespace pith {

struct Prompt {
  std::vector<std::string> contexts;       // one, or one for each answer
  std::vector<std::string> continuations;  // of the one context; one where contexts are chosen; none to be generated
  std::string target;                      // the right answer in words
  std::size_t pairs() const { return std::max(contexts.size(), continuations.size()); }
  const std::string& context(std::size_t i) const { return contexts.size() > 1 ? contexts[i] : contexts[0]; }
  const std::string& continuation(std::size_t i) const {
    return continuations.size() > 1 ? continuations[i] : continuations[0];
  }
};

// Writes prompts: description, `shots` solved examples (of the document's own group), and the document. Examples are
// the first ones, or drawn for each document by (seed, its place).
class PromptWriter {
 public:
  // Error(input) when a group has not enough examples.
  PromptWriter(const Task& task, const TaskData& data, dim shots, std::uint64_t seed);
  Prompt write(dim index) const;

 private:
  std::vector<dim> pick(dim index) const;
  std::string solved(const Document& d) const;
  const Task& task_;
  const TaskData& data_;
  dim shots_;
  std::uint64_t seed_;
  bool own_;                                       // the other documents serve as examples
  std::map<std::string, std::vector<dim>> pools_;  // of each group
};

}  // namespace pith
