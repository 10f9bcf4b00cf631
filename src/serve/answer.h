// One answer as it grows: when it ends, and what of it may be shown.
#pragma once
#include <optional>

#include "serve/generate.h"
#include "serve/text_stream.h"

namespace pith {

class Answer {
 public:
  Answer(const Tokenizer& tokenizer, const GenerateOptions& options);

  // The next token, with its score where they were asked for. False: the answer has ended.
  bool add(Token token, TokenScore score, const TextSink& sink);
  // To be called once, after `add` was false or with another reason.
  void finish(StopReason reason, const TextSink& sink);
  bool enough() const { return dim(tokens.size()) >= options_.max_tokens; }

  std::vector<Token> tokens;  // without the one that stopped
  std::vector<TokenScore> scores;
  std::optional<TokenScore> end_score;  // of the token that stopped it
  std::string text;
  StopReason reason = StopReason::max_tokens;
  bool ended = false;

 private:
  void show(const std::string& piece, const TextSink& sink);
  const Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  std::vector<Token> stops_;
  TextStream stream_;
};

}  // namespace pith
