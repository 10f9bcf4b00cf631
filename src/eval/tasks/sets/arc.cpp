// ARC (Clark et al. 2018): questions of science at school. llm-foundry's records hold "Question: QUESTION".
#include "eval/tasks/sets/forms.h"

namespace pith {

static Document question(const Record& record) {
  Document d = choices_form(record);
  d.context += "\nAnswer:";
  return d;
}

extern const Task arc_easy_task, arc_challenge_task;
const Task arc_easy_task = {
    .name = "arc_easy",
    .summary = "science questions of a school, the easy part",
    .metrics = {&metric_acc, &metric_acc_norm, &metric_acc_bytes},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/world_knowledge/arc_easy.jsonl", "arc_easy.jsonl"}, question);
        },
};

const Task arc_challenge_task = {
    .name = "arc_challenge",
    .summary = "science questions of a school, those that retrieval and co-occurrence failed on",
    .metrics = {&metric_acc, &metric_acc_norm, &metric_acc_bytes},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/world_knowledge/arc_challenge.jsonl", "arc_challenge.jsonl"}, question);
        },
};

}  // namespace pith
