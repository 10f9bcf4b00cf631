// Rationales that come to the right answer.
#include "synth/pipeline.h"
#include "synth/pipelines/worked.h"

namespace pith::synth {

namespace {

void run_cot(Run& run) {
  for (const Worked& worked : work_out(run, dim(run.options.number("shots")))) {
    const SeedItem& seed = run.seeds[worked.seed];
    if (!same_answer(worked.answer, seed.answer)) {
      run.drop("right answer");
      continue;
    }
    Record record;
    record.messages = pair_of(seed.conversation(), with_answer(worked.rationale, worked.answer));
    record.source = seed.source;
    record.request = worked.request;
    record.filters = {"answer named", "right answer"};
    run.emit(std::move(record));
  }
}

}  // namespace

extern const Pipeline pipeline_cot;
const Pipeline pipeline_cot = {
    .name = "cot",
    .summary = "rationales, kept where they come to the right answer; --samples draws several (Fine-tune-CoT)",
    .paper = "arXiv:2212.10071",
    .options = {{"shots", "0", "worked examples before each question, from data that has rationales", {}, 0, 32}},
    .answers = true,
    .run = run_cot};

}  // namespace pith::synth
