// PIQA (Bisk et al. 2020): which of two ways reaches a goal. llm-foundry's records hold "Question: GOAL\n".
#include "eval/tasks/sets/forms.h"

namespace pith {

static Document goal(const Record& record) {
  Document d = choices_form(record);
  cut_ending(d.context, "\n");
  d.context += "\nAnswer:";
  return d;
}

extern const Task piqa_task;
const Task piqa_task = {
    .name = "piqa",
    .summary = "the better of two ways to a goal",
    .metrics = {&metric_acc, &metric_acc_norm, &metric_acc_bytes},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/commonsense_reasoning/piqa.jsonl", "piqa.jsonl"}, goal);
        },
};

}  // namespace pith
