// COPA (Roemmele et al. 2011): cause or effect. llm-foundry's records hold "PREMISE, because" or "PREMISE, therefore".
#include "eval/tasks/sets/forms.h"

namespace pith {

// The harness has no comma, and a space of each choice's own after the one that joins.
static Document premise(const Record& record) {
  Document d = choices_form(record);
  for (const std::string_view word : {", because", ", therefore"})
    if (d.context.ends_with(word)) {
      cut_ending(d.context, word);
      d.context += word.substr(1);
    }
  for (std::string& choice : d.choices) choice.insert(0, " ");
  return d;
}

extern const Task copa_task;
const Task copa_task = {
    .name = "copa",
    .summary = "the more plausible cause or effect",
    .metrics = {&metric_acc},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/commonsense_reasoning/copa.jsonl", "copa.jsonl"}, premise);
        },
};

}  // namespace pith
