// WinoGrande (Sakaguchi et al. 2020) and the Winograd schema challenge: whom a sentence speaks of. Each option is put
// in place and what follows it is scored (partial evaluation, Trinh and Le 2018).
#include "eval/tasks/sets/forms.h"

namespace pith {

// The harness keeps the space in front of what follows, and joins with another.
static Document schema(const Record& record) {
  Document d = contexts_form(record);
  if (!d.choices[0].starts_with('\'') && !d.choices[0].starts_with(',')) d.choices[0].insert(0, " ");
  return d;
}

extern const Task winogrande_task, wsc273_task;
const Task winogrande_task = {
    .name = "winogrande",
    .summary = "which of two names a blank stands for",
    .metrics = {&metric_acc},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/language_understanding/winogrande.jsonl", "winogrande.jsonl"},
                              contexts_form);
        },
};

const Task wsc273_task = {
    .name = "wsc273",
    .summary = "which of two names a pronoun stands for (Winograd schemas)",
    .form = "lm-evaluation-harness, options spelled as llm-foundry's file has them",
    .metrics = {&metric_acc},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/language_understanding/winograd_wsc.jsonl", "wsc273.jsonl"}, schema);
        },
};

}  // namespace pith
