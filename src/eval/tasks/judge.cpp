#include "eval/tasks/judge.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "eval/likelihood/pair_tokens.h"
#include "eval/statistics.h"
#include "eval/tasks/run_tasks.h"

namespace pith {

namespace {

// The two letters after one order of the answers.
std::vector<Continuation> letters(const Model& judge, const ItemResult& item, const std::string& a,
                                  const std::string& b) {
  std::vector<Continuation> out;
  for (const char* letter : {" A", " B"}) {
    TokenPair pair = encode_pair(judge.tokenizer(), judging_prompt(item.prompt, a, b), letter, judge.config().context);
    if (pair.truncated)
      throw Error(Blame::input, "judge",
                  fmt::format("expected questions that the judge's context of {} tokens holds, "
                              "item {} is longer",
                              judge.config().context, item.id),
                  "take a judge with a longer context");
    out.push_back(std::move(pair.continuation));
  }
  return out;
}

void check_items(const TaskResult& model, const TaskResult& base) {
  static_cast<void>(compare_answers(model, base));  // the same items
  if (model.output_type != "generate_until")
    throw input_error("judge", "expected a task that generates answers, {} is scored as {}", model.name,
                      model.output_type);
  for (const ItemResult& item : model.items)
    if (item.prompt.empty()) throw input_error("judge", "expected items with their prompts, item {} has none", item.id);
}

void sum_up(TaskVerdicts& v) {
  const double n = double(v.items);
  v.share = (double(v.won) + double(v.tied) / 2) / n;
  const double squares = double(v.won) * std::pow(1 - v.share, 2) + double(v.tied) * std::pow(0.5 - v.share, 2) +
                         double(v.lost) * std::pow(v.share, 2);
  v.standard_error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  v.p_value = mcnemar_p_value(v.lost, v.won);
  v.preference = std::accumulate(v.preferences.begin(), v.preferences.end(), 0.0) / n;
  v.preference_error = standard_error(v.preferences);
}

}  // namespace

std::string judging_prompt(std::string_view question, std::string_view a, std::string_view b) {
  return fmt::format(
      "Two assistants answered the same question. Decide which answer is better: more correct, more helpful, and to "
      "the point. How long they are and which comes first does not matter.\n\n[Question]\n{}\n\n[Answer A]\n{}\n\n"
      "[Answer B]\n{}\n\nThe better answer is answer",
      question, a, b);
}

TaskVerdicts judge_answers(Likelihoods& judge, const TaskResult& model, const TaskResult& base, Progress& progress) {
  check_items(model, base);
  TaskVerdicts out;
  out.task = model.name;
  out.items = dim(model.items.size());
  out.preferences.assign(model.items.size(), 0);
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < model.items.size(); ++i)
    if (model.items[i].text != base.items[i].text) asked.push_back(i);
  out.same = out.tied = out.items - dim(asked.size());
  std::vector<std::vector<Continuation>> questions(asked.size());
  parallel_for(dim(asked.size()), [&](dim k) {
    const ItemResult &own = model.items[asked[std::size_t(k)]], &other = base.items[asked[std::size_t(k)]];
    auto& four = questions[std::size_t(k)];
    four = letters(judge.model(), own, own.text, other.text);
    for (Continuation& c : letters(judge.model(), own, other.text, own.text)) four.push_back(std::move(c));
  });
  progress.begin(fmt::format("judging {}", out.task), dim(asked.size()));
  judge.score(questions, [&](dim first, dim last, std::span<const std::vector<ContinuationScore>> scores) {
    for (dim k = first; k < last; ++k) {
      const auto& s = scores[std::size_t(k)];
      const double before = s[0].logprob - s[1].logprob, after = s[3].logprob - s[2].logprob;
      out.preferences[asked[std::size_t(k)]] = (before + after) / 2;
      ++(before > 0 && after > 0 ? out.won : before < 0 && after < 0 ? out.lost : out.tied);
    }
    progress.advance(last - first, fmt::format("{} won, {} lost", out.won, out.lost));
  });
  progress.end();
  if (out.items > 0) sum_up(out);
  return out;
}

}  // namespace pith
