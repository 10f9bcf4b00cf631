// What a model learns from: sequences of tokens, and which of them it is to predict.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "model/model.h"

namespace pith {

struct TrainingSequence {
  std::vector<Token> tokens;
  std::vector<char> predicted;  // as long: tokens that count in the loss; never the first
  dim count() const;            // of the predicted
};

struct TrainingData {
  std::vector<TrainingSequence> sequences;
  std::vector<std::string> notes;
  std::string hash;  // SHA-256 in hex over all of it
  dim tokens() const;
  dim predicted() const;
  dim longest() const;  // tokens of a sequence, at least 2
};

struct DataChoice {
  // Plain text, or .jsonl with one {"messages": [...]}, {"text": ...} or {"instruction", "input", "output"} a line (or
  // a .json array of such). Texts follow one another, an end token between them, cut into sequences of `length`.
  // Conversations are sequences of their own, through the model's chat template, of which only what the assistant says
  // is predicted.
  std::vector<std::filesystem::path> files;
  dim length = 512;               // most tokens of a sequence; conversations are cut there
  bool train_on_prompts = false;  // predict all of a conversation
};

// For a model of these choices. Error(input) that names the file and the line, or when nothing is left to predict.
TrainingData training_data(const Tokenizer& tokenizer, const Config& config, const DataChoice& choice);

// The order of sequences: every pass over them in an order of its own, drawn by the seed.
class ShuffledOrder {
 public:
  ShuffledOrder(std::size_t count, std::uint64_t seed);
  std::size_t at(dim place);  // place: 0, 1, ... over all passes

 private:
  void draw(dim pass);
  std::size_t count_;
  std::uint64_t seed_;
  dim pass_ = -1;
  std::vector<std::size_t> order_;
};

}  // namespace pith
