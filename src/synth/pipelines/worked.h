// Questions that a teacher works out step by step: what pipelines with rationales have in common.
#pragma once
#include "synth/answers.h"
#include "synth/run.h"

namespace pith::synth {

// A rationale and the answer that it comes to.
struct Worked {
  std::size_t seed = 0;  // index
  Request request;
  std::string rationale;
  std::string answer;
};

// The kind of answer that a question of this seed wants; of one without an answer: a number if it has one.
AnswerKind wanted_kind(const SeedItem& seed);

// `samples` rationales for each question, after `shots` worked examples drawn from seeds that have a rationale. Where
// one names no final answer the teacher is asked for it (zero-shot chain of thought in two steps, arXiv:2205.11916).
// Those without are dropped, and counted.
std::vector<Worked> work_out(Run& run, dim shots);

// "... The answer is 42."
std::string with_answer(const std::string& rationale, const std::string& answer);

}  // namespace pith::synth
