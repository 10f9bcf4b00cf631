#include "eval/tasks/metrics.h"

#include <algorithm>
#include <cmath>

#include "eval/statistics.h"
#include "eval/tasks/text_scores.h"

namespace pith {
namespace {

dim characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// The first largest of log-likelihood / length.
template <class Length>
int best_choice(std::span<const ChoiceScore> scores, Length length) {
  int best = 0;
  const auto value = [&](int i) { return scores[std::size_t(i)].logprob / double(std::max<dim>(length(i), 1)); };
  for (int i = 1; i < int(scores.size()); ++i)
    if (value(i) > value(best)) best = i;
  return best;
}

double is_right(const Document& d, int choice) {
  if (!d.right.empty()) return d.right[std::size_t(choice)] ? 1 : 0;
  return choice == d.gold ? 1 : 0;
}

// Where contexts are chosen, all go on with the same continuation: no length tells them apart.
std::string_view choice_text(const Document& d, int i) {
  return d.contexts.empty() ? d.choices[std::size_t(i)] : d.choices[0];
}

double acc(const Document& d, const Answer& a) { return is_right(d, likeliest(a.scores)); }
double acc_norm(const Document& d, const Answer& a) {
  return is_right(d, best_choice(a.scores, [&](int i) { return characters(choice_text(d, i)); }));
}
double acc_bytes(const Document& d, const Answer& a) {
  return is_right(d, best_choice(a.scores, [&](int i) { return dim(choice_text(d, i).size()); }));
}

double mass_of_right(const Document& d, const Answer& a) {
  double most = a.scores[0].logprob, right = 0, all = 0;
  for (const ChoiceScore& s : a.scores) most = std::max(most, s.logprob);
  for (std::size_t i = 0; i < a.scores.size(); ++i) {
    const double p = std::exp(a.scores[i].logprob - most);
    all += p;
    if (is_right(d, int(i)) > 0) right += p;
  }
  return right / all;
}

double acc_greedy(const Document&, const Answer& a) { return a.scores[0].greedy ? 1 : 0; }
double log_likelihood(const Document&, const Answer& a) { return a.scores[0].logprob; }

template <class Score>
double best_of(const Document& d, Score score) {
  double best = 0;
  for (const std::string& answer : d.answers) best = std::max(best, double(score(answer)));
  return best;
}

double strict_match(const Document& d, const Answer& a) {
  const std::string number = strict_number(a.text);
  return best_of(d, [&](const std::string& answer) { return !number.empty() && same_number(number, answer); });
}
double flexible_extract(const Document& d, const Answer& a) {
  const std::string number = last_number(a.text);
  return best_of(d, [&](const std::string& answer) { return !number.empty() && same_number(number, answer); });
}
double exact(const Document& d, const Answer& a) {
  const std::string text = normalize_answer(a.text);
  return best_of(d, [&](const std::string& answer) { return text == normalize_answer(answer); });
}
double contains(const Document& d, const Answer& a) {
  const std::string text = normalize_answer(a.text);
  return best_of(d, [&](const std::string& answer) { return text.find(normalize_answer(answer)) != text.npos; });
}
double f1(const Document& d, const Answer& a) {
  return best_of(d, [&](const std::string& answer) { return token_f1(a.text, answer); });
}
double rouge(const Document& d, const Answer& a) {
  return best_of(d, [&](const std::string& answer) { return rouge_l(a.text, answer); });
}

}  // namespace

using enum Aggregation;
const Metric metric_acc{"acc", "none", acc, mean, true};
const Metric metric_acc_norm{"acc_norm", "none", acc_norm, mean, true};
const Metric metric_acc_bytes{"acc_bytes", "none", acc_bytes, mean, true};
const Metric metric_mass_of_right{"acc", "none", mass_of_right, mean, true};
const Metric metric_acc_greedy{"acc", "none", acc_greedy, mean, true};
const Metric metric_perplexity{"perplexity", "none", log_likelihood, perplexity, false};
const Metric metric_strict_match{"exact_match", "strict-match", strict_match, mean, true};
const Metric metric_flexible_extract{"exact_match", "flexible-extract", flexible_extract, mean, true};
const Metric metric_exact{"exact_match", "none", exact, mean, true};
const Metric metric_contains{"contains", "none", contains, mean, true};
const Metric metric_token_f1{"f1", "none", f1, mean, true};
const Metric metric_rouge_l{"rougeL", "none", rouge, mean, true};

const Metric* find_metric(std::string_view name) {
  for (const Metric* m : {&metric_exact, &metric_contains, &metric_token_f1, &metric_rouge_l})
    if (m->name == name) return m;
  return name == "gsm8k" ? &metric_flexible_extract : nullptr;
}

int likeliest(std::span<const ChoiceScore> scores) {
  return best_choice(scores, [](int) { return dim(1); });
}

TaskMetric aggregate(const Metric& metric, std::span<const double> values) {
  TaskMetric out{std::string(metric.name), std::string(metric.filter), 0, 0, metric.higher_is_better};
  if (values.empty()) return out;
  double sum = 0;
  for (const double v : values) sum += v;
  out.value = sum / double(values.size());
  out.standard_error = standard_error(values);
  if (metric.aggregation == perplexity) {  // of exp, to first order
    out.value = std::exp(-out.value);
    out.standard_error *= out.value;
  }
  return out;
}

}  // namespace pith
