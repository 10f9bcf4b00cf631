// The teacher's answers to given questions.
#include "eval/tasks/text_scores.h"
#include "synth/pipeline.h"
#include "synth/run.h"

namespace pith::synth {

namespace {

constexpr dim kAnswers = 1;

// Of a question's usable replies the one most like the reference.
std::size_t nearest_of(const std::vector<std::pair<std::size_t, double>>& scored) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < scored.size(); ++i)
    if (scored[i].second > scored[best].second) best = i;
  return scored[best].first;
}

void run_seqkd(Run& run) {
  const bool nearest = run.options.text("keep") == "nearest";
  const auto samples = std::size_t(run.choice.samples);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s)
      requests.push_back(run.request(run.seeds[i].conversation(), kAnswers, dim(i), dim(s)));
  const auto replies = run.ask("answers", requests);
  for (std::size_t i = 0; i < run.seeds.size(); ++i) {
    const SeedItem& seed = run.seeds[i];
    std::vector<std::pair<std::size_t, double>> kept;
    for (std::size_t r = i * samples; r < (i + 1) * samples; ++r)
      if (run.usable(replies[r])) kept.emplace_back(r, seed.answer.empty() ? 0 : rouge_l(replies[r].text, seed.answer));
    if (nearest && !seed.answer.empty() && !kept.empty()) {
      const std::size_t best = nearest_of(kept);
      run.drop("nearest", dim(kept.size()) - 1);
      std::erase_if(kept, [&](const auto& k) { return k.first != best; });
    }
    for (const auto& [r, score] : kept) {
      Record record;
      record.messages = pair_of(seed.conversation(), trimmed(replies[r].text));
      record.source = seed.source;
      record.request = requests[r];
      if (!seed.answer.empty()) record.scores = {{"rouge_l", score}};
      run.emit(std::move(record));
    }
  }
}

}  // namespace

extern const Pipeline pipeline_seqkd;
const Pipeline pipeline_seqkd = {
    .name = "seqkd",
    .summary = "the teacher's answers to given questions (sequence-level distillation)",
    .paper = "arXiv:1606.07947",
    .options = {{"keep",
                 "all",
                 "of --samples answers: all, or the one nearest to the given answer by ROUGE-L",
                 {"all", "nearest"}}},
    .run = run_seqkd};

}  // namespace pith::synth
