#include "synth/pipelines/worked.h"

#include <fmt/format.h>

#include "synth/instructions.h"

namespace pith::synth {

namespace {

constexpr dim kRationales = 1, kAnswers = 2, kShots = 3;
constexpr const char* kThink = "\n\nThink step by step, and end with \"The answer is\" and the answer alone.";

// Worked examples before the question, never the question itself.
std::string examples(const Run& run, std::size_t seed, dim sample, dim shots) {
  if (shots == 0) return "";
  std::vector<std::size_t> with_rationale;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    if (i != seed && !run.seeds[i].rationale.empty() && !run.seeds[i].answer.empty()) with_rationale.push_back(i);
  Rng rng = run.rng(kShots, dim(seed), sample);
  std::string text;
  for (const std::size_t k : draw_some(rng, with_rationale.size(), std::size_t(shots))) {
    const SeedItem& shown = run.seeds[with_rationale[k]];
    text += fmt::format("Question: {}\nAnswer: {}\n\n", shown.question, with_answer(shown.rationale, shown.answer));
  }
  return text.empty() ? text : text + "Question: ";
}

std::string question_of_kind(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::number:
      return "Therefore, what is the answer? Give the number alone.";
    case AnswerKind::letter:
      return "Therefore, what is the answer? Give the letter alone.";
    case AnswerKind::text:
      return "Therefore, what is the answer? Give it alone, in as few words as possible.";
  }
  return "";
}

// Short replies may be the answer and nothing else.
std::optional<std::string> answer_of_reply(const Reply& reply, AnswerKind kind) {
  if (reply.end == ReplyEnd::no_room) return std::nullopt;
  if (auto found = final_answer(reply.text, kind)) return found;
  const std::string text = trimmed(reply.text);
  if (kind != AnswerKind::text || text.empty() || text.find('\n') != text.npos) return std::nullopt;
  return text;
}

// Numbers are everywhere in a text that works them out; only a marked one is the answer.
bool names_answer(const std::string& text) {
  const std::string lower = lower_case(text);
  return lower.find("answer is") != lower.npos || lower.find("answer:") != lower.npos ||
         lower.find("####") != lower.npos;
}

}  // namespace

AnswerKind wanted_kind(const SeedItem& seed) { return seed.answer.empty() ? AnswerKind::number : kind_of(seed.answer); }

std::string with_answer(const std::string& rationale, const std::string& answer) {
  return names_answer(rationale) ? rationale : fmt::format("{}\nThe answer is {}.", rationale, answer);
}

std::vector<Worked> work_out(Run& run, dim shots) {
  const auto samples = std::size_t(run.choice.samples);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s) {
      Conversation asked = run.seeds[i].conversation();
      asked.back().content = examples(run, i, dim(s), shots) + asked.back().content + kThink;
      requests.push_back(run.request(std::move(asked), kRationales, dim(i), dim(s)));
    }
  const auto replies = run.ask("rationales", requests);
  std::vector<Worked> all;
  std::vector<std::size_t> unnamed;
  std::vector<Request> further;
  for (std::size_t r = 0; r < replies.size(); ++r) {
    if (!run.usable(replies[r])) continue;
    const std::size_t seed = r / samples;
    Worked worked = {seed, requests[r], trimmed(replies[r].text), ""};
    if (names_answer(worked.rationale)) {
      if (auto found = final_answer(worked.rationale, wanted_kind(run.seeds[seed]))) worked.answer = *found;
    }
    if (worked.answer.empty()) {
      Conversation more = pair_of(requests[r].messages, worked.rationale);
      more.push_back({"user", question_of_kind(wanted_kind(run.seeds[seed]))});
      unnamed.push_back(all.size());
      further.push_back(run.request(std::move(more), kAnswers, dim(seed), dim(r % samples)));
      further.back().sampling.temperature = 0;
      further.back().sampling.max_tokens = 32;
    }
    all.push_back(std::move(worked));
  }
  const auto answers = run.ask("final answers", further);
  for (std::size_t k = 0; k < answers.size(); ++k)
    if (const auto found = answer_of_reply(answers[k], wanted_kind(run.seeds[all[unnamed[k]].seed])))
      all[unnamed[k]].answer = *found;
  run.drop("no answer", dim(std::erase_if(all, [](const Worked& w) { return w.answer.empty(); })));
  return all;
}

}  // namespace pith::synth
