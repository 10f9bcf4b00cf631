// What a task's run gives: plain structs, for reports and for other programs.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base.h"

namespace pith {

// One figure over all items.
struct TaskMetric {
  std::string name;             // "acc", "acc_norm", "perplexity", "exact_match", "rougeL", ...
  std::string filter = "none";  // how the answer was taken out of generated text: "strict-match", ...
  double value = 0;
  double standard_error = 0;  // of the mean: sample standard deviation / sqrt(n); 0 for a single item
  bool higher_is_better = true;
};

// One continuation that was scored.
struct ChoiceScore {
  double logprob = 0;   // sum over its tokens, nats
  dim tokens = 0;       // scored
  bool greedy = false;  // each of its tokens was the likeliest
};

struct ItemResult {
  dim index = 0;                     // of the item in its file (over all files of a task of several)
  std::string id;                    // the file's own, or the index
  std::string hash;                  // SHA-256 of prompt, choices and right answer: equal hashes are equal questions
  std::string group;                 // of a task made of parts: "anatomy"
  std::string prompt;                // the whole context; empty unless asked for
  std::vector<std::string> prompts;  // instead, where the context is what is chosen
  std::vector<std::string> choices;  // continuations as scored, delimiter included; empty unless asked for
  std::vector<ChoiceScore> scores;   // of each choice; of the one continuation; empty for generated answers
  int answer = -1;                   // the likeliest choice; -1 for tasks without choices
  int gold = -1;
  std::string text;            // what was generated
  std::string target;          // the right answer in words
  bool correct = false;        // by the task's first metric: right, or for graded metrics at least one half
  std::vector<double> values;  // of each metric, in the order of TaskResult::metrics (log-likelihood for perplexity)
};

// Part of a task: a subject of MMLU, or subjects together.
struct TaskGroup {
  std::string name;
  std::string parent;  // the group that it is in; empty: none
  dim items = 0;
  std::vector<TaskMetric> metrics;
};

struct TaskResult {
  std::string name;
  std::string summary;
  std::string form;         // the prompt's form: "lm-evaluation-harness", or what differs from it
  std::string version;      // of the task's definition
  std::string output_type;  // lm-evaluation-harness's word: "multiple_choice", "loglikelihood", "generate_until"
  std::string data_hash;    // SHA-256 of the files read
  dim shots = 0;
  dim items_in_data = 0;
  dim truncated = 0;                // items whose context lost its beginning to the model's limit
  std::vector<TaskMetric> metrics;  // the first is the one to quote
  std::vector<TaskGroup> groups;
  std::vector<ItemResult> items;  // those that were run, in the order of the data
  double seconds = 0;
  dim tokens = 0;  // run through the model, after sharing of prefixes
};

// The same items answered by a model and by its base.
struct TaskFlips {
  std::string task;
  dim items = 0;
  dim changed = 0;     // another answer; of generated answers: another text
  dim lost = 0;        // right by the base, wrong by the model
  dim gained = 0;      // the other way
  double p_value = 1;  // McNemar's exact test: that lost and gained are equally likely
};

}  // namespace pith
