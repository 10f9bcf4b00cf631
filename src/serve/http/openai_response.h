// Answers as OpenAI's API has them, JSON text each.
#pragma once
#include <string>
#include <vector>

#include "core/error.h"
#include "io/tokenizer.h"
#include "serve/generate.h"

namespace pith {

struct ApiUsage {
  dim prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  double tokens_per_second = 0;  // while writing; 0: not known
};

// What all pieces of one answer carry.
struct ApiHead {
  std::string id, model;
  std::int64_t created = 0;  // seconds since 1970
  bool chat = false;
};

struct ApiChoice {
  int index = 0;
  std::string text;
  // Of the echoed prompt and the answer; a negative first token is one without a score: the prompt's first.
  std::vector<TokenScore> scores;
  Token unscored_first = -1;
  bool with_scores = false;
  dim text_offset = 0;  // characters before `text`, for /v1/completions
  bool ended = false;
  StopReason reason = StopReason::max_tokens;
};

std::string whole_answer(const ApiHead& head, const std::vector<ApiChoice>& choices, const ApiUsage& usage,
                         const Tokenizer& tokenizer);
// The data of one server-sent event. first: of a chat, where the role is said.
std::string answer_piece(const ApiHead& head, const ApiChoice& choice, bool first, const Tokenizer& tokenizer);
std::string usage_piece(const ApiHead& head, const ApiUsage& usage);

// {"error": {"message", "type", "param", "code"}}; status: HTTP's.
std::string error_json(int status, const std::string& message, const std::string& param = "");

dim characters(std::string_view utf8);

}  // namespace pith
