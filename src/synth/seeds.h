// What pipelines start from: questions, instructions or conversations out of files, in the shapes that data sets have.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "synth/text_model.h"

namespace pith::synth {

struct SeedItem {
  std::string source;   // "gsm8k.jsonl, line 3"
  Conversation before;  // of a conversation: what was said before the question
  std::string question;
  std::string answer;                 // empty: not known
  std::string rationale;              // why; empty: not known
  std::vector<std::string> wrong;     // answers that are wrong
  Conversation conversation() const;  // ends with the question
};

// .jsonl (.json: an array) of objects with
//   messages                                   the last question, and the answer after it
//   instruction | question | query | prompt | context | turns (the first)
//   input                                      joined to the instruction
//   output | answer | target | continuation    "rationale #### answer" is taken apart
//   chain_of_thought | rationale | explanation
//   choices and gold (an index)                listed as A., B., ... where the question does not show them
// or plain text, a question a line. limit: most items of each file; 0: all. Error(input) that names file and line.
std::vector<SeedItem> read_seeds(std::span<const std::filesystem::path> files, dim limit = 0);

// Lines that are not empty. Error(input) where there are none.
std::vector<std::string> read_topics(const std::filesystem::path& file);

}  // namespace pith::synth
