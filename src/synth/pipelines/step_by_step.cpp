// Two tasks of each question: its label, and why. The student learns both, and is later asked for the label alone.
#include "synth/pipeline.h"
#include "synth/pipelines/worked.h"

namespace pith::synth {

namespace {

constexpr const char *kPredict = "predict: ", *kExplain = "explain: ";

void run_step_by_step(Run& run) {
  const std::string& labels = run.options.text("labels");
  for (const Worked& worked : work_out(run, dim(run.options.number("shots")))) {
    const SeedItem& seed = run.seeds[worked.seed];
    const bool agrees = !seed.answer.empty() && same_answer(worked.answer, seed.answer);
    if (labels == "agreed" && !agrees) {
      run.drop("agreed");
      continue;
    }
    const bool gold = labels == "gold" && !seed.answer.empty();
    for (const bool label : {true, false}) {
      Record record;
      Conversation asked = seed.conversation();
      asked.back().content = (label ? kPredict : kExplain) + asked.back().content;
      record.messages = pair_of(std::move(asked), !label ? worked.rationale : gold ? seed.answer : worked.answer);
      record.source = seed.source;
      record.stage = label ? "label" : "rationale";
      if (!label || !gold) record.request = worked.request;
      record.filters = {"answer named"};
      if (labels == "agreed") record.filters.push_back("agreed");
      if (!seed.answer.empty()) record.scores = {{"agrees", agrees ? 1.0 : 0.0}};
      run.emit(std::move(record));
    }
  }
}

}  // namespace

extern const Pipeline pipeline_step_by_step;
const Pipeline pipeline_step_by_step = {
    .name = "step_by_step",
    .summary = "labels and rationales as two tasks, told apart by \"predict: \" and \"explain: \"",
    .paper = "arXiv:2305.02301",
    .options = {{"labels",
                 "teacher",
                 "the teacher's, those given with the questions, or the teacher's where they agree",
                 {"teacher", "gold", "agreed"}},
                {"shots", "0", "worked examples before each question, from data that has rationales", {}, 0, 32}},
    .run = run_step_by_step};

}  // namespace pith::synth
