// New instructions from a few, and their answers.
#include <fmt/format.h>

#include "synth/instructions.h"
#include "synth/pipeline.h"

namespace pith::synth {

namespace {

constexpr dim kLists = 1, kShown = 2, kAnswers = 3;
constexpr std::size_t kSeedsShown = 6, kOwnShown = 2;

void run_self_instruct(Run& run) {
  InstructionPool pool(run, run.options.number("rouge"));
  const auto wanted = dim(run.options.number("list"));
  const auto make = [&](dim index, const std::vector<NewInstruction>& so_far) {
    Rng rng = run.rng(kShown, index);
    std::vector<std::string> shown;
    for (const std::size_t i : draw_some(rng, run.seeds.size(), kSeedsShown)) shown.push_back(run.seeds[i].question);
    for (const std::size_t i : draw_some(rng, so_far.size(), kOwnShown)) shown.push_back(so_far[i].text);
    return run.request(user(fmt::format("Here are tasks that people gave to an assistant:\n{}\nThink of {} more tasks, "
                                        "different from these and from each other in topic and kind. Write them as a "
                                        "numbered list, a task a line, without answers.",
                                        numbered(shown), wanted)),
                       kLists, index);
  };
  answer_instructions(run, grow_instructions(run, pool, "instructions", run.choice.count, make), kAnswers);
}

}  // namespace

extern const Pipeline pipeline_self_instruct;
const Pipeline pipeline_self_instruct = {
    .name = "self_instruct",
    .summary = "--count new instructions after six given and two new ones at a time, and their answers",
    .paper = "arXiv:2212.10560",
    .options = {alike_option(), {"list", "8", "instructions asked for at a time", {}, 1, 50}},
    .run = run_self_instruct};

}  // namespace pith::synth
