// BoolQ (Clark et al. 2019): yes or no, by a passage. llm-foundry's records hold "Passage: PASSAGE\nQuestion:
// QUESTION?".
#include "eval/tasks/sets/forms.h"

namespace pith {

static Document passage(const Record& record) {
  Document d = choices_form(record);
  d.context = after(d.context, "Passage: ", record) + "\nAnswer:";
  return d;
}

extern const Task boolq_task;
const Task boolq_task = {
    .name = "boolq",
    .summary = "yes or no, by a passage",
    .version = "2.0",
    .metrics = {&metric_acc},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/reading_comprehension/boolq.jsonl", "boolq.jsonl"}, passage);
        },
};

}  // namespace pith
