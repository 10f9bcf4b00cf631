// Paired comparisons of all models of a study, on the windows and items that they share.
#pragma once
#include <string>
#include <vector>

#include "eval/paired.h"
#include "report/study/record.h"

namespace pith::report {

struct PairRow {
  std::string first, second;
  std::optional<PairedTest> nll, kl;  // first - second, nats per token: negative where the first is better
  double nll_p = 1, kl_p = 1;         // adjusted for the number of pairs (Holm)
};
// Every pair of up to six models; of more, those that are neighbours in quality. The base takes part with its nats per
// token. Models whose windows differ are left out.
std::vector<PairRow> paired_rows(const Study& study);

struct TaskPair {
  std::string task, model, base;
  dim items = 0, lost = 0, gained = 0;  // of right answers, against the base or, without one, the first model
  double p = 1;                         // McNemar's exact test
};
std::vector<TaskPair> task_pairs(const Study& study);

}  // namespace pith::report
