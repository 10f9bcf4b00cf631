// Data made better by the teacher's reflection, as far as the student can use it: instructions that are harder to
// follow and answers that are easier to foresee. Difficulties are the student's own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "synth/pipeline.h"
#include "synth/run.h"

namespace pith::synth {

namespace {

constexpr dim kInstructions = 1, kResponses = 2;
constexpr const char* kGuess = "\n\nWhat instruction is the text above the answer to? Write the instruction.";

struct Example {
  std::string question, answer;
  Request request = {};  // of what was reflected last
  bool from_teacher = false;
  double ifd = 0, reversed = 0;
  std::vector<std::string> filters = {};
};

// perplexity of `text` after `asked` / its perplexity after an empty question
std::vector<double> difficulty(Run& run, std::string_view stage,
                               const std::vector<std::pair<std::string, std::string>>& of) {
  std::vector<ScoreRequest> requests;
  for (const auto& [asked, text] : of) {
    requests.push_back({user(asked), text});
    requests.push_back({user(""), text});
  }
  const auto scores = run.student().score(stage, requests);
  std::vector<double> out;
  for (std::size_t i = 0; i < of.size(); ++i) {
    const TextScore &with = scores[2 * i], &without = scores[2 * i + 1];
    const bool known = with.tokens > 0 && without.tokens > 0;
    out.push_back(known ? std::exp(std::min(with.mean_nll() - without.mean_nll(), 50.0)) : -1);
  }
  return out;
}

std::vector<double> instruction_difficulty(Run& run, const std::vector<Example>& all) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Example& e : all) pairs.emplace_back(e.question, e.answer);
  return difficulty(run, "difficulty of instructions", pairs);
}

// Of the instruction, given the answer.
std::vector<double> reversed_difficulty(Run& run, const std::vector<Example>& all) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Example& e : all) pairs.emplace_back(e.answer + kGuess, e.question);
  return difficulty(run, "difficulty of responses", pairs);
}

// "Instruction: ...\nAnswer: ..." taken apart.
std::optional<std::pair<std::string, std::string>> instruction_and_answer(std::string_view reply) {
  constexpr std::string_view kInstruction = "Instruction:", kAnswer = "Answer:";
  const auto first = reply.find(kInstruction), second = reply.find(kAnswer, first == reply.npos ? 0 : first);
  if (first == reply.npos || second == reply.npos) return std::nullopt;
  const auto begin = first + kInstruction.size();
  std::pair out(trimmed(reply.substr(begin, second - begin)), trimmed(reply.substr(second + kAnswer.size())));
  if (out.first.empty() || out.second.empty()) return std::nullopt;
  return out;
}

void reflect_on_instructions(Run& run, std::vector<Example>& all) {
  std::vector<Request> requests;
  for (std::size_t i = 0; i < all.size(); ++i)
    requests.push_back(run.request(
        user(fmt::format("Instruction: {}\nAnswer: {}\n\nMake the instruction better: clearer, more specific, a little "
                         "more demanding. Then answer it well. Write \"Instruction:\" with the new instruction, and "
                         "\"Answer:\" with the new answer.",
                         all[i].question, all[i].answer)),
        kInstructions, dim(i)));
  const auto replies = run.ask("reflection on instructions", requests);
  std::vector<Example> fresh;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto made = run.usable(replies[i]) ? instruction_and_answer(replies[i].text) : std::nullopt;
    if (!made) continue;
    fresh.push_back({made->first, made->second, requests[i], true});
    at.push_back(i);
  }
  const auto ifd = instruction_difficulty(run, fresh);
  for (std::size_t k = 0; k < fresh.size(); ++k) {
    Example& old = all[at[k]];
    if (!(ifd[k] >= 0 && ifd[k] > old.ifd)) continue;
    fresh[k].ifd = ifd[k];
    fresh[k].filters = {"instruction: harder by ifd"};
    old = std::move(fresh[k]);
  }
}

void reflect_on_responses(Run& run, std::vector<Example>& all) {
  std::vector<Request> requests;
  for (std::size_t i = 0; i < all.size(); ++i)
    requests.push_back(run.request(user(fmt::format("Instruction: {}\nAnswer: {}\n\nMake the answer better: correct, "
                                                    "complete and well ordered. Write only the new answer.",
                                                    all[i].question, all[i].answer)),
                                   kResponses, dim(i)));
  const auto replies = run.ask("reflection on responses", requests);
  std::vector<Example> fresh;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!run.usable(replies[i])) continue;
    fresh.push_back({all[i].question, trimmed(replies[i].text), requests[i], true});
    at.push_back(i);
  }
  const auto before = reversed_difficulty(run, all), after = reversed_difficulty(run, fresh);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].reversed = before[i];
  for (std::size_t k = 0; k < fresh.size(); ++k) {
    Example& old = all[at[k]];
    if (!(after[k] >= 0 && (old.reversed < 0 || after[k] < old.reversed))) continue;
    old.answer = fresh[k].answer;
    old.request = fresh[k].request;
    old.from_teacher = true;
    old.reversed = after[k];
    old.filters.push_back("response: more feasible by r-ifd");
  }
  const auto ifd = instruction_difficulty(run, all);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].ifd = ifd[i];
}

void run_reflect(Run& run) {
  std::vector<Example> all;
  for (const SeedItem& seed : run.seeds) all.push_back({seed.question, seed.answer, {}});
  const auto ifd = instruction_difficulty(run, all);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].ifd = ifd[i];
  const bool responses = run.options.text("responses") == "yes";
  if (run.options.text("instructions") == "yes") reflect_on_instructions(run, all);
  if (responses) reflect_on_responses(run, all);
  // The hardest share of what the instruction helps with at all.
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].ifd < 0)
      run.drop("room");
    else if (all[i].ifd > run.options.number("most_ifd"))
      run.drop("ifd");
    else
      order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return all[a].ifd > all[b].ifd; });
  const auto kept = std::size_t(std::ceil(run.options.number("share") * double(order.size())));
  run.drop("share", dim(order.size() - kept));
  order.resize(kept);
  std::sort(order.begin(), order.end());
  for (const std::size_t i : order) {
    Record record;
    record.messages = pair_of(user(all[i].question), all[i].answer);
    record.source = run.seeds[i].source;
    if (all[i].from_teacher) record.request = all[i].request;
    record.filters = all[i].filters;
    record.filters.push_back("ifd");
    record.scores = {{"ifd", all[i].ifd}};
    if (responses && all[i].reversed >= 0) record.scores.emplace_back("r_ifd", all[i].reversed);
    run.emit(std::move(record));
  }
}

}  // namespace

extern const Pipeline pipeline_reflect;
const Pipeline pipeline_reflect = {
    .name = "reflect",
    .summary = "given instructions and answers, reflected on by the teacher and chosen by the student's difficulty",
    .paper = "arXiv:2402.10110",
    .options = {{"instructions", "yes", "reflect on instructions; harder ones (higher IFD) stay", {"yes", "no"}},
                {"responses",
                 "yes",
                 "reflect on answers; those that tell more of the instruction (lower r-IFD) stay",
                 {"yes", "no"}},
                {"share", "1", "of the records, the hardest first", {}, 0, 1},
                {"most_ifd", "1", "above this the instruction does not help with the answer", {}, 0, 100}},
    .answers = true,
    .student = true,
    .single = true,
    .run = run_reflect};

}  // namespace pith::synth
