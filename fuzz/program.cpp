// Programs: text that a model wrote.
#include "synth/program/program.h"

#include "fuzz/fuzz.h"
#include "synth/answers.h"
#include "synth/instructions.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text(data, size);
  for (const auto kind : {synth::AnswerKind::number, synth::AnswerKind::letter, synth::AnswerKind::text})
    synth::final_answer(text, kind);
  synth::list_items(text, size % 2 == 1);
  return fuzz::refuse_or_accept([&] { synth::run_program(synth::program_in(text)); });
}
