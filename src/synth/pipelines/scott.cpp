// Rationales that lean on the answer they explain: decoded against the same teacher that believes another answer.
#include <fmt/format.h>

#include "synth/answers.h"
#include "synth/pipeline.h"
#include "synth/run.h"

namespace pith::synth {

namespace {

constexpr dim kRationales = 1, kWrong = 2, kCounterfactual = 3;

Conversation explain(const SeedItem& seed, const std::string& answer) {
  Conversation asked = seed.conversation();
  std::string& text = asked.back().content;
  text += answer.empty() ? std::string("\n\nExplain step by step.")
                         : fmt::format("\n\nThe answer is {}. Explain step by step why.", answer);
  return asked;
}

// One that the data says is wrong, else a number near the right one, else another question's answer; "": none.
std::string wrong_answer(const Run& run, std::size_t index) {
  const SeedItem& seed = run.seeds[index];
  Rng rng = run.rng(kWrong, dim(index));
  if (!seed.wrong.empty()) return seed.wrong[std::size_t(rng.below(dim(seed.wrong.size())))];
  if (const auto number = number_of(seed.answer)) {
    const dim step = 1 + rng.below(9);
    return fmt::format("{:g}",
                       rng.below(2) == 0 && *number > double(step) ? *number - double(step) : *number + double(step));
  }
  for (int tries = 0; tries < 16; ++tries) {
    const std::string& other = run.seeds[std::size_t(rng.below(dim(run.seeds.size())))].answer;
    if (!same_answer(other, seed.answer)) return other;
  }
  return "";
}

void run_scott(Run& run) {
  const bool counterfactual = run.options.text("counterfactual") == "yes", empty = run.options.text("wrong") == "empty";
  const auto samples = std::size_t(run.choice.samples);
  struct Told {
    std::size_t seed;
    bool right;
    std::string answer;
  };
  std::vector<Told> told;
  std::vector<Request> requests;
  for (std::size_t i = 0; i < run.seeds.size(); ++i) {
    const SeedItem& seed = run.seeds[i];
    const std::string wrong = wrong_answer(run, i);
    for (const bool right : {true, false}) {
      if (!right && (!counterfactual || wrong.empty())) continue;
      for (std::size_t s = 0; s < samples; ++s) {
        Request r = run.request(explain(seed, right ? seed.answer : wrong), right ? kRationales : kCounterfactual,
                                dim(i), dim(s));
        Request against = run.request(explain(seed, !right ? seed.answer : empty ? "" : wrong), kRationales, 0);
        r.contrast = {std::move(against.messages), run.options.number("weight"), run.options.number("plausible")};
        requests.push_back(std::move(r));
        told.push_back({i, right, right ? seed.answer : wrong});
      }
    }
  }
  const auto replies = run.ask("rationales", requests);
  for (std::size_t k = 0; k < replies.size(); ++k) {
    if (!run.usable(replies[k])) continue;
    const SeedItem& seed = run.seeds[told[k].seed];
    Conversation asked = seed.conversation();
    if (counterfactual)
      asked.back().content = (told[k].right ? "[Factual] " : "[Counterfactual] ") + asked.back().content;
    Record record;
    record.messages =
        pair_of(std::move(asked), fmt::format("{}\nThe answer is {}.", trimmed(replies[k].text), told[k].answer));
    record.source = seed.source;
    record.stage = told[k].right ? "factual" : "counterfactual";
    record.request = requests[k];
    run.emit(std::move(record));
  }
}

}  // namespace

extern const Pipeline pipeline_scott;
const Pipeline pipeline_scott = {
    .name = "scott",
    .summary = "rationales decoded for the right answer against a wrong one (SCOTT)",
    .paper = "arXiv:2305.01879",
    .options = {{"weight", "0.5", "how much a token's gain by the right answer counts", {}, 0, 10},
                {"plausible",
                 "0.1",
                 "tokens with less than this share of the likeliest one's probability are not drawn",
                 {},
                 0,
                 1},
                {"wrong", "other", "what the teacher is told instead: another answer, or none", {"other", "empty"}},
                {"counterfactual", "yes", "also rationales for the wrong answer, marked so", {"yes", "no"}}},
    .answers = true,
    .local = true,
    .run = run_scott};

}  // namespace pith::synth
