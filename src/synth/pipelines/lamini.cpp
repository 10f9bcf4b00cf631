// Many instructions: half after examples, half after examples and topics, and their answers.
#include <fmt/format.h>

#include "core/error.h"
#include "synth/instructions.h"
#include "synth/pipeline.h"

namespace pith::synth {

namespace {

constexpr dim kLists = 1, kShown = 2, kAnswers = 3;
constexpr std::size_t kExamples = 3, kTopics = 3;

std::string joined(const Run& run, const std::vector<std::size_t>& chosen) {
  std::string text;
  for (const std::size_t i : chosen) text += (text.empty() ? "" : ", ") + run.topics[i];
  return text;
}

void run_lamini(Run& run) {
  InstructionPool pool(run, run.options.number("rouge"));
  const auto wanted = dim(run.options.number("list"));
  const auto make = [&](dim index, const std::vector<NewInstruction>&) {
    Rng rng = run.rng(kShown, index);
    std::vector<std::string> shown;
    for (const std::size_t i : draw_some(rng, run.seeds.size(), kExamples)) shown.push_back(run.seeds[i].question);
    const bool topics = !run.topics.empty() && index % 2 == 1;
    const std::string about =
        topics ? fmt::format(" They are to be about {}.", joined(run, draw_some(rng, run.topics.size(), kTopics)))
               : std::string();
    return run.request(user(fmt::format("Examples of instructions:\n{}\nWrite {} instructions of the same form as the "
                                        "examples, each complete in itself.{} Write them as a numbered list, one a "
                                        "line, without answers.",
                                        numbered(shown), wanted, about)),
                       kLists, index);
  };
  answer_instructions(run, grow_instructions(run, pool, "instructions", run.choice.count, make), kAnswers);
}

}  // namespace

extern const Pipeline pipeline_lamini;
const Pipeline pipeline_lamini = {
    .name = "lamini",
    .summary = "--count new instructions after three given ones and, every other time, --topics, and their answers",
    .paper = "arXiv:2304.14402",
    .options = {alike_option(), {"list", "20", "instructions asked for at a time", {}, 1, 50}},
    .run = run_lamini};

}  // namespace pith::synth
