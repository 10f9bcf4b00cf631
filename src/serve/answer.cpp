#include "serve/answer.h"

#include <algorithm>

namespace pith {

Answer::Answer(const Tokenizer& tokenizer, const GenerateOptions& options)
    : tokenizer_(tokenizer), options_(options), stops_(options.stop_tokens), stream_(options.stop_strings) {
  if (options.ignore_end) return;
  for (const Token t : tokenizer.end_tokens()) stops_.push_back(t);
}

void Answer::show(const std::string& piece, const TextSink& sink) {
  text += piece;
  if (piece.empty() || sink(piece)) return;
  ended = true;
  reason = StopReason::interrupted;
}

bool Answer::add(Token token, TokenScore score, const TextSink& sink) {
  if (std::find(stops_.begin(), stops_.end(), token) != stops_.end()) {
    ended = true;
    reason = StopReason::stop_token;
    if (options_.logprobs >= 0) end_score = std::move(score);
    return false;
  }
  tokens.push_back(token);
  if (options_.logprobs >= 0) scores.push_back(std::move(score));
  show(stream_.push(tokenizer_.piece(token)), sink);
  if (!ended && stream_.stopped()) {
    ended = true;
    reason = StopReason::stop_string;
  }
  if (!ended && enough()) {
    ended = true;
    reason = StopReason::max_tokens;
  }
  return !ended;
}

void Answer::finish(StopReason why, const TextSink& sink) {
  if (!ended) reason = why;
  ended = true;
  if (reason == StopReason::interrupted) return;
  const StopReason kept = reason;
  show(stream_.finish(), sink);
  reason = kept;
}

}  // namespace pith
