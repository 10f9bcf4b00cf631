// Figures made of the answers to a task's items, as lm-evaluation-harness defines them.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/tasks/document.h"
#include "eval/tasks/task_result.h"

namespace pith {

struct Answer {
  std::span<const ChoiceScore> scores;  // of each choice or context, or of the one continuation
  std::string_view text;                // generated
};

// `mean` of the items' values, or exp(-mean) of their log-likelihoods.
enum class Aggregation { mean, perplexity };

struct Metric {
  std::string_view name;
  std::string_view filter;  // "none", or how the answer is taken out of the text
  double (*of_item)(const Document&, const Answer&);
  Aggregation aggregation;
  bool higher_is_better;
};

// Of choices: the likeliest is right; by log-likelihood, or that over the choice's characters (as the harness's
// acc_norm counts) or its bytes.
extern const Metric metric_acc, metric_acc_norm, metric_acc_bytes;
// The share of the right choices in the probability of all.
extern const Metric metric_mass_of_right;
// Of one continuation: every token was the likeliest; and exp(-mean log-likelihood).
extern const Metric metric_acc_greedy, metric_perplexity;
// Of generated text: GSM8K's number after "####", or the last number anywhere.
extern const Metric metric_strict_match, metric_flexible_extract;
// The best over the answers: equal without case, articles and punctuation; containment; F1 of words (SQuAD's
// normalization); ROUGE-L F.
extern const Metric metric_exact, metric_contains, metric_token_f1, metric_rouge_l;
const Metric* find_metric(std::string_view name);  // those of generated text that a user's file may ask for

// The index of the likeliest choice, the first among equals.
int likeliest(std::span<const ChoiceScore> scores);

// values: of each item.
TaskMetric aggregate(const Metric& metric, std::span<const double> values);

}  // namespace pith
