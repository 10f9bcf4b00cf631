// Which of two generated answers is better, as a third model sees it: pairwise judging with both orders (Zheng et al.,
// Judging LLM-as-a-Judge, arXiv:2306.05685), by what the judge expects to read: "A" or "B".
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/progress.h"
#include "eval/likelihood/continuations.h"
#include "eval/tasks/task_result.h"

namespace pith {

struct TaskVerdicts {
  std::string task;
  dim items = 0;
  dim won = 0, lost = 0;      // the model's answer, or the base's, was preferred in both orders
  dim tied = 0;               // the judge went by the order, or the answers are the same
  dim same = 0;               // of these the answers that are the same
  double share = 0;           // (won + tied / 2) / items
  double standard_error = 0;  // of the share
  double p_value = 1;         // sign test: that won and lost are equally likely
  double preference = 0;      // the mean of `preferences`, and its standard error: orders cancel out in it
  double preference_error = 0;
  // Of each item, in nats: how much likelier the judge finds the letter of the model's answer than that of the base's,
  // the mean over both orders; 0 for the same answers.
  std::vector<double> preferences;
};

// The text before "A" or "B".
std::string judging_prompt(std::string_view question, std::string_view a, std::string_view b);

// Both are runs of one task that generates, with the same items and TaskOptions::keep_text; Error(input) otherwise, and
// when a question is longer than the judge's context. The judge is asked in exact products, and its draws are none:
// same verdicts for any number of threads.
TaskVerdicts judge_answers(Likelihoods& judge, const TaskResult& model, const TaskResult& base,
                           Progress& progress = no_progress());

}  // namespace pith
