// Following instructions: {instruction, input, output} records, answers held against the reference by ROUGE-L, as in
// the evaluations of MiniLLM and of Super-NaturalInstructions.
#include "eval/tasks/sets/forms.h"
#include "eval/tasks/sets/instruction_form.h"

namespace pith {

extern const Task instructions_task;
const Task instructions_task = {
    .name = "instructions",
    .summary = "answers to instructions, ROUGE-L against a reference",
    .form = "Alpaca's prompt",
    .type = OutputType::generation,
    .metrics = {&metric_rouge_l, &metric_exact},
    .load =
        [](TaskSource& source) {
          TaskData data;
          const std::string text =
              source.files.read({"instructions.json", "../instructions/rasbt-instruction-data.json"});
          for (const Record& record : read_json_list(text, source.files.last()))
            data.documents.push_back(instruction_form(record));
          return data;
        },
    .until = {"\n###"},
    .max_tokens = 128,
};

}  // namespace pith
