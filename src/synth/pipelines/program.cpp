// Programs that compute the answer.
#include "synth/program/program.h"

#include <fmt/format.h>

#include "core/error.h"
#include "synth/answers.h"
#include "synth/pipeline.h"
#include "synth/run.h"

namespace pith::synth {

namespace {

constexpr dim kPrograms = 1;
constexpr const char* kAsk =
    "\n\nWrite a Python program that computes the answer: one assignment a line, with plain arithmetic and named "
    "variables, and at the end `answer = ...`. Write only the program, without loops or functions.";
constexpr const char* kAskStudent = "\n\nWrite a program that computes the answer.";

void run_programs(Run& run) {
  const auto samples = std::size_t(run.choice.samples);
  for (const SeedItem& seed : run.seeds)
    if (!seed.answer.empty() && !number_of(seed.answer))
      throw input_error(seed.source, "expected a number as the answer, got {}", seed.answer);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s) {
      Conversation asked = run.seeds[i].conversation();
      asked.back().content += kAsk;
      requests.push_back(run.request(std::move(asked), kPrograms, dim(i), dim(s)));
    }
  const auto replies = run.ask("programs", requests);
  for (std::size_t k = 0; k < replies.size(); ++k) {
    if (!run.usable(replies[k])) continue;
    const SeedItem& seed = run.seeds[k / samples];
    const std::string text = program_in(replies[k].text);
    double result = 0;
    try {
      result = run_program(text);
    } catch (const Error&) {
      run.drop("program");
      continue;
    }
    if (!seed.answer.empty() && !same_answer(fmt::format("{:.17g}", result), seed.answer)) {
      run.drop("right answer");
      continue;
    }
    Record record;
    Conversation asked = seed.conversation();
    asked.back().content += kAskStudent;
    record.messages = pair_of(std::move(asked), text);
    record.source = seed.source;
    record.request = requests[k];
    record.filters = {"program"};
    if (!seed.answer.empty()) record.filters.push_back("right answer");
    record.scores = {{"result", result}};
    run.emit(std::move(record));
  }
}

}  // namespace

extern const Pipeline pipeline_program;
const Pipeline pipeline_program = {
    .name = "program",
    .summary = "arithmetic programs, kept where they run and compute the given answer (PaD)",
    .paper = "arXiv:2305.13888",
    .options = {},
    .run = run_programs};

}  // namespace pith::synth
