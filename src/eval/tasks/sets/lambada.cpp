// LAMBADA (Paperno et al. 2016), in OpenAI's text: the last word of a passage.
#include "eval/tasks/sets/forms.h"

namespace pith {

// Either {text}, the last word being what follows its last space, or llm-foundry's {context, continuation}.
static Document passage(const Record& record) {
  if (!record.has("text")) return continuation_form(record);
  const std::string text = record.text("text");
  const auto space = text.rfind(' ');
  if (space == text.npos) throw input_error(record.where(), "expected at least two words");
  Document d;
  d.context = text.substr(0, space);
  d.choices = {text.substr(space + 1)};
  return d;
}

extern const Task lambada_task;
const Task lambada_task = {
    .name = "lambada",
    .summary = "the last word of a passage, all of its tokens the likeliest (OpenAI's text)",
    .type = OutputType::continuation,
    .metrics = {&metric_acc_greedy, &metric_perplexity},
    .load =
        [](TaskSource& source) {
          return documents_of(
              source, {"lambada_test.jsonl", "foundry/language_understanding/lambada_openai.jsonl", "lambada.jsonl"},
              passage);
        },
};

}  // namespace pith
