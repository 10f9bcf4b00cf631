// {instruction, input (may be absent or empty), output} as Alpaca's prompt (Taori et al. 2023) puts it.
#pragma once
#include "eval/tasks/task.h"

namespace pith {

inline Document instruction_form(const Record& record) {
  const std::string input = record.text_or("input", "");
  Document d;
  d.context = input.empty() ? "Below is an instruction that describes a task. Write a response that appropriately "
                              "completes the request.\n\n### Instruction:\n"
                            : "Below is an instruction that describes a task, paired with an input that provides "
                              "further context. Write a response that appropriately completes the request.\n\n"
                              "### Instruction:\n";
  d.context += record.text("instruction");
  if (!input.empty()) d.context += "\n\n### Input:\n" + input;
  d.context += "\n\n### Response:";
  d.solution = record.text("output");
  d.answers = {d.solution};
  return d;
}

}  // namespace pith
