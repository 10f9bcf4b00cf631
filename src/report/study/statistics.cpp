#include "report/study/statistics.h"

#include <algorithm>
#include <cmath>

namespace pith::report {
namespace {

constexpr std::size_t kAllPairs = 6;

std::vector<dim> tokens_of(const ModelRecord& m) {
  std::vector<dim> tokens;
  if (m.quality)
    for (const WindowScore& w : m.quality->by_window) tokens.push_back(w.tokens);
  return tokens;
}

bool same_windows(const ModelRecord& a, const ModelRecord& b) {
  return a.quality && b.quality && !a.quality->by_window.empty() && tokens_of(a) == tokens_of(b);
}

const std::vector<double>* kl_of(const ModelRecord& m) {
  return m.quality && m.quality->against_base ? &m.quality->against_base->by_window : nullptr;
}

PairRow compared(const Study& study, const ModelRecord& a, const ModelRecord& b) {
  PairRow row;
  row.first = a.name;
  row.second = b.name;
  const std::vector<dim> tokens = tokens_of(a);
  std::vector<double> d(tokens.size());
  for (std::size_t w = 0; w < d.size(); ++w) d[w] = a.quality->by_window[w].nll - b.quality->by_window[w].nll;
  row.nll = paired_test(d, tokens, study.seed);
  row.nll_p = row.nll->p_value;
  const auto *first = kl_of(a), *second = kl_of(b);
  if (first && second && first->size() == d.size() && second->size() == d.size()) {
    for (std::size_t w = 0; w < d.size(); ++w) d[w] = (*first)[w] - (*second)[w];
    row.kl = paired_test(d, tokens, study.seed);
    row.kl_p = row.kl->p_value;
  }
  return row;
}

void adjust(std::vector<PairRow>& rows) {
  std::vector<double> nll, kl;
  for (const PairRow& row : rows) nll.push_back(row.nll_p), kl.push_back(row.kl_p);
  nll = holm_adjusted(nll);
  kl = holm_adjusted(kl);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].nll_p = nll[i], rows[i].kl_p = kl[i];
}

// McNemar's exact test: twice the smaller tail of a binomial with p = 1/2, at most 1.
double mcnemar_p(dim lost, dim gained) {
  const double n = double(lost + gained);
  double tail = 0;
  for (dim k = 0; k <= std::min(lost, gained); ++k)
    tail +=
        std::exp(std::lgamma(n + 1) - std::lgamma(double(k) + 1) - std::lgamma(n - double(k) + 1) - n * std::log(2.0));
  return std::min(1.0, 2 * tail);
}

dim count_of(const std::string& mine, const std::string& theirs, char own, char other) {
  dim n = 0;
  for (std::size_t i = 0; i < mine.size(); ++i) n += mine[i] == own && theirs[i] == other;
  return n;
}

}  // namespace

std::vector<PairRow> paired_rows(const Study& study) {
  std::vector<const ModelRecord*> models;
  for (const ModelRecord* m : all_of(study))
    if (same_windows(*m, reference_of(study))) models.push_back(m);
  std::vector<PairRow> rows;
  if (models.size() <= kAllPairs) {
    for (std::size_t i = 0; i < models.size(); ++i)
      for (std::size_t j = i + 1; j < models.size(); ++j) rows.push_back(compared(study, *models[i], *models[j]));
  } else {
    std::stable_sort(models.begin(), models.end(), [](const ModelRecord* a, const ModelRecord* b) {
      const auto rank = [](const ModelRecord* m) { return kl_of(*m) ? m->quality->against_base->kl.mean : 0.0; };
      return rank(a) != rank(b) ? rank(a) < rank(b) : a->quality->nll.mean < b->quality->nll.mean;
    });
    for (std::size_t i = 0; i + 1 < models.size(); ++i) rows.push_back(compared(study, *models[i], *models[i + 1]));
  }
  adjust(rows);
  return rows;
}

std::vector<TaskPair> task_pairs(const Study& study) {
  std::vector<TaskPair> pairs;
  const ModelRecord& base = reference_of(study);
  for (const ModelRecord* m : all_of(study)) {
    if (m == &base) continue;
    for (const TaskRecord& task : m->tasks)
      for (const TaskRecord& other : base.tasks) {
        if (task.name != other.name || task.data_hash != other.data_hash || task.right.size() != other.right.size())
          continue;
        TaskPair pair{task.name, m->name, base.name, dim(task.right.size())};
        pair.lost = count_of(task.right, other.right, '0', '1');
        pair.gained = count_of(task.right, other.right, '1', '0');
        pair.p = mcnemar_p(pair.lost, pair.gained);
        pairs.push_back(pair);
      }
  }
  return pairs;
}

}  // namespace pith::report
