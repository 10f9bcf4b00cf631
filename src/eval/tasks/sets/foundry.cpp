// Tasks as llm-foundry words them, where the harness's prompt cannot be made from its records.
#include "eval/tasks/sets/forms.h"

namespace pith {
namespace {

using Load = std::function<TaskData(TaskSource&)>;

Load choices_from(std::string_view file, std::string_view ending = "") {
  return [=](TaskSource& source) {
    return documents_of(source, {file}, [&](const Record& record) {
      Document d = choices_form(record);
      d.context += ending;
      return d;
    });
  };
}

Load continuations_from(std::string_view file, std::string_view ending = "") {
  return [=](TaskSource& source) {
    return documents_of(source, {file}, [&](const Record& record) {
      Document d = continuation_form(record);
      d.context += ending;
      return d;
    });
  };
}

const char* const kForm = "llm-foundry";

}  // namespace

extern const Task siqa_task, commonsense_qa_task, strategy_qa_task, logiqa_task, sat_en_task, dyck_languages_task,
    operators_task, arithmetic_task, jeopardy_task;

const Task siqa_task = {.name = "siqa",
                        .summary = "Social IQa: what people do and feel; letters of listed choices",
                        .form = kForm,
                        .metrics = {&metric_acc},
                        .load = choices_from("foundry/commonsense_reasoning/siqa.jsonl")};
const Task commonsense_qa_task = {.name = "commonsense_qa",
                                  .summary = "common sense; letters of listed choices",
                                  .form = kForm,
                                  .metrics = {&metric_acc},
                                  .load = choices_from("foundry/commonsense_reasoning/commonsense_qa.jsonl")};
const Task strategy_qa_task = {.name = "strategy_qa",
                               .summary = "StrategyQA: yes or no, in several steps that the question does not name",
                               .form = kForm,
                               .metrics = {&metric_acc},
                               .load = choices_from("foundry/commonsense_reasoning/bigbench_strategy_qa.jsonl")};
const Task logiqa_task = {.name = "logiqa",
                          .summary = "LogiQA: what follows from a passage; letters of listed choices",
                          .form = kForm,
                          .metrics = {&metric_acc},
                          .load = choices_from("foundry/symbolic_problem_solving/logi_qa.jsonl", "Answer:")};
const Task sat_en_task = {.name = "sat_en",
                          .summary = "AGIEval's SAT-en: reading comprehension; letters of listed choices",
                          .form = kForm,
                          .metrics = {&metric_acc},
                          .load = choices_from("foundry/reading_comprehension/agi_eval_sat_en.jsonl")};
const Task dyck_languages_task = {
    .name = "dyck_languages",
    .summary = "BIG-bench: the brackets that are still open, all tokens the likeliest",
    .form = kForm,
    .type = OutputType::continuation,
    .metrics = {&metric_acc_greedy, &metric_perplexity},
    .load = continuations_from("foundry/symbolic_problem_solving/bigbench_dyck_languages.jsonl")};
const Task operators_task = {.name = "operators",
                             .summary = "BIG-bench: results of an operator just defined, all tokens the likeliest",
                             .form = kForm,
                             .type = OutputType::continuation,
                             .metrics = {&metric_acc_greedy, &metric_perplexity},
                             .load = continuations_from("foundry/symbolic_problem_solving/bigbench_operators.jsonl")};
const Task arithmetic_task = {
    .name = "arithmetic",
    .summary = "sums and products of small numbers, all tokens the likeliest",
    .form = kForm,
    .type = OutputType::continuation,
    .metrics = {&metric_acc_greedy, &metric_perplexity},
    .load = continuations_from("foundry/symbolic_problem_solving/simple_arithmetic_nospaces.jsonl"),
    .delimiter = ""};
const Task jeopardy_task = {.name = "jeopardy",
                            .summary = "answers to Jeopardy's clues, all tokens the likeliest",
                            .form = kForm,
                            .type = OutputType::continuation,
                            .metrics = {&metric_acc_greedy, &metric_perplexity},
                            .load = continuations_from("foundry/world_knowledge/jeopardy_all.jsonl", "\nAnswer:")};

}  // namespace pith
