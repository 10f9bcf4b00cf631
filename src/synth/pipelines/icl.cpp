// Few-shot prompts and what is to follow: the student learns to learn in context, or what the teacher knew from it.
#include <fmt/format.h>

#include "synth/instructions.h"
#include "synth/pipeline.h"

namespace pith::synth {

namespace {

constexpr dim kAnswers = 1, kShots = 2;

std::string few_shot(const Run& run, std::size_t index, dim sample, std::size_t shots) {
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    if (i != index) others.push_back(i);
  Rng rng = run.rng(kShots, dim(index), sample);
  std::string text;
  for (const std::size_t k : draw_some(rng, others.size(), shots)) {
    const SeedItem& shown = run.seeds[others[k]];
    text += fmt::format("Input: {}\nOutput: {}\n\n", shown.question, shown.answer);
  }
  return text + fmt::format("Input: {}\nOutput:", run.seeds[index].question);
}

void run_icl(Run& run) {
  const auto shots = std::size_t(run.options.number("shots")), samples = std::size_t(run.choice.samples);
  const bool gold = run.options.text("target") == "gold", keep = run.options.text("student") == "shots";
  std::vector<Request> requests;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s) {
      requests.push_back(run.request(user(few_shot(run, i, dim(s), shots)), kAnswers, dim(i), dim(s)));
    }
  std::vector<Reply> replies;
  if (!gold) replies = run.ask("answers", requests);
  for (std::size_t k = 0; k < requests.size(); ++k) {
    if (!gold && !run.usable(replies[k])) continue;
    const SeedItem& seed = run.seeds[k / samples];
    Record record;
    Conversation asked = keep ? user(requests[k].messages.back().content) : seed.conversation();
    record.messages = pair_of(std::move(asked), gold ? seed.answer : trimmed(replies[k].text));
    record.source = seed.source;
    if (!gold) record.request = requests[k];
    run.emit(std::move(record));
  }
}

}  // namespace

extern const Pipeline pipeline_icl;
const Pipeline pipeline_icl = {
    .name = "icl",
    .summary = "few-shot prompts drawn from the data, and their targets (in-context-learning distillation)",
    .paper = "arXiv:2212.10670",
    .options =
        {{"shots", "4", "examples in a prompt", {}, 1, 64},
         {"target", "teacher", "what the teacher says after the examples, or the given answer", {"teacher", "gold"}},
         {"student",
          "shots",
          "what the student gets: the examples, too, or the question alone",
          {"shots", "question"}}},
    .answers = true,
    .single = true,
    .run = run_icl};

}  // namespace pith::synth
