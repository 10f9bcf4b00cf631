// OpenBookQA (Mihaylov et al. 2018): elementary science.
#include "eval/tasks/sets/forms.h"

namespace pith {

extern const Task openbookqa_task;
const Task openbookqa_task = {
    .name = "openbookqa",
    .summary = "elementary science, the right one of four endings",
    .metrics = {&metric_acc, &metric_acc_norm, &metric_acc_bytes},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/commonsense_reasoning/openbook_qa.jsonl", "openbookqa.jsonl"},
                              choices_form);
        },
};

}  // namespace pith
