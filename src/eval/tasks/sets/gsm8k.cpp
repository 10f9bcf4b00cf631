// GSM8K (Cobbe et al. 2021) and SVAMP (Patel et al. 2021): sums in words; TriviaQA (Joshi et al. 2017). The answers are
// generated.
#include "eval/tasks/sets/forms.h"

namespace pith {
namespace {

// {context, chain_of_thought, answer}; solved examples end in "#### ANSWER".
Document sum_in_words(const Record& record) {
  Document d;
  d.context = "Question: " + record.text("context") + "\nAnswer:";
  d.answers = {record.text("answer")};
  d.solution = record.text_or("chain_of_thought", "") + "\n#### " + d.answers[0];
  return d;
}

Document trivia(const Record& record) {
  Document d;
  d.context = record.text("context");
  d.answers = record.texts("aliases");
  d.solution = record.text("answer");
  d.answers.push_back(d.solution);
  return d;
}

}  // namespace

extern const Task gsm8k_task, svamp_task, triviaqa_task;
const Task gsm8k_task = {
    .name = "gsm8k",
    .summary = "sums in words, worked out step by step",
    .form = "lm-evaluation-harness, examples drawn from the other questions of the test split",
    .version = "3.0",
    .type = OutputType::generation,
    .metrics = {&metric_strict_match, &metric_flexible_extract},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/symbolic_problem_solving/gsm8k.jsonl", "gsm8k.jsonl"}, sum_in_words);
        },
    .shots = 5,
    .until = {"Question:", "</s>", "<|im_end|>"},
};
const Task svamp_task = {
    .name = "svamp",
    .summary = "short sums in words",
    .form = "as gsm8k, on llm-foundry's records",
    .type = OutputType::generation,
    .metrics = {&metric_strict_match, &metric_flexible_extract},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/symbolic_problem_solving/svamp.jsonl", "svamp.jsonl"}, sum_in_words);
        },
    .shots = 5,
    .until = {"Question:", "</s>", "<|im_end|>"},
};
const Task triviaqa_task = {
    .name = "triviaqa",
    .summary = "trivia; the generated line is one of the known answers",
    .form = "llm-foundry",
    .type = OutputType::generation,
    .metrics = {&metric_exact, &metric_token_f1},
    .load =
        [](TaskSource& source) {
          return documents_of(source, {"foundry/world_knowledge/triviaqa_sm_sub.jsonl", "triviaqa.jsonl"}, trivia);
        },
    .shots = 3,
    .until = {"\n", ".", ","},
    .max_tokens = 16,
};

}  // namespace pith
