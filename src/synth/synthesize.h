// Data from a teacher's answers: black-box distillation, whose student sees texts alone.
#pragma once
#include "synth/pipeline.h"
#include "synth/run.h"

namespace pith::synth {

struct Job {
  const Pipeline* pipeline = nullptr;
  Options options;  // the pipeline's
  RunChoice choice = {};
  std::vector<SeedItem> seeds;
  std::vector<std::string> topics;
};

struct Outcome {
  Origin origin;
  std::vector<Record> records;
  DropCounts dropped;
  AskCounts teacher, student;
};

// Error(input) when an option is out of range or seeds lack what the pipeline needs; and as of TextModel. A function
// of the job and of what the models reply, whatever the journal holds already.
Outcome synthesize(const Job& job, TextModel& teacher, TextModel* student, ReplyJournal& journal,
                   Progress& progress = no_progress());

// What a run would ask first; no model is run.
struct Plan {
  std::string stage;
  std::vector<Request> requests;
  dim prompt_tokens = 0;  // of all of them; -1: not known
};
Plan plan(const Job& job, TextModel& teacher);

std::string lines_of(const Outcome& outcome);  // .jsonl

}  // namespace pith::synth
