// Which tokens a calibrated method sees.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"

namespace pith {

struct CalibrationChoice {
  // Plain text, or .jsonl with one {"messages": [...]}, {"text": ...} or {"instruction", "input", "output"} a line:
  // conversations go through the model's chat template. Empty: the model writes its own text.
  std::vector<std::filesystem::path> files;
  dim samples = 128;
  dim length = 512;  // tokens of a sample
  std::uint64_t seed = 0;
};

struct CalibrationTokens {
  std::vector<std::vector<Token>> sequences;
  std::vector<std::string> notes;
  dim count() const;
};

// Samples of equal length: pieces of the whole token stream of the files at places that the seed draws, none twice,
// in the stream's order; each with BOS before it where the tokenizer says so. Fewer, with a note, when the text is
// short. Error(input) when it has not one sample.
CalibrationTokens calibration_tokens(const Model& model, const CalibrationChoice& choice);

}  // namespace pith
