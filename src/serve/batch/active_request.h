// A request in its slot of the cache.
#pragma once
#include <chrono>

#include "serve/answer.h"
#include "serve/batch/batch_engine.h"

namespace pith {

struct ActiveRequest {
  ActiveRequest(BatchRequest r, std::shared_ptr<Ticket> t, const Tokenizer& tokenizer)
      : request(std::move(r)),
        ticket(std::move(t)),
        text(request.prompt),
        answer(tokenizer, request.options),
        sampler(request.options.sampler) {}
  ActiveRequest(const ActiveRequest&) = delete;

  BatchRequest request;
  std::shared_ptr<Ticket> ticket;
  std::vector<Token> text;  // prompt and answer
  dim read = 0;             // tokens of it that lie in the cache
  Answer answer;
  Sampler sampler;
  std::chrono::steady_clock::time_point started = {}, wrote_first = {};

  // Of the run that is under way.
  dim count = 0;         // tokens of it
  bool samples = false;  // its last one is the end of the text
  Token drawn = -1;
  TokenScore drawn_score;
  std::vector<TokenScore> prompt_scores;

  bool writing() const { return dim(text.size()) > dim(request.prompt.size()); }
  bool scores_prompt() const { return request.score_prompt && request.options.logprobs >= 0; }
};

}  // namespace pith
