// One example to learn from, and where it is from.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "synth/text_model.h"

namespace pith::synth {

struct Record {
  Conversation messages;  // ends with an answer
  std::string source;     // of the seed; empty: generated
  std::string stage;      // of pipelines with several kinds of records: "label", "rationale", "hard"
  Request request;  // what the teacher was asked for the answer; without messages: the answer is not the teacher's
  std::optional<Request> question_request;             // what it was asked for the question, where it made it
  std::vector<std::string> filters;                    // passed
  std::vector<std::pair<std::string, double>> scores;  // finite
  const std::string& answer() const { return messages.back().content; }
};

// What all records of a run share.
struct Origin {
  std::string pipeline;
  std::vector<std::pair<std::string, std::string>> options;
  ModelIdentity teacher, student;  // student: empty where there is none
  std::uint64_t seed = 0;
};

// One line: {"messages": [...], "provenance": {...}}, read by `pith finetune` and `pith distill`.
std::string record_line(const Record& record, const Origin& origin);

}  // namespace pith::synth
