// One request of the API while its answers grow.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/batch/batch_engine.h"
#include "serve/http/openai_request.h"
#include "serve/http/openai_response.h"

namespace pith {

class Answering {
 public:
  // Submits all prompts. engine must outlive this. Error(input) as of the tokenizer, the template and the engine.
  Answering(ApiHead head, const ApiRequest& request, BatchEngine& engine);
  ~Answering();  // what still runs is for nobody
  Answering(const Answering&) = delete;
  bool accepted() const { return accepted_; }  // else the engine has no room

  // Waits for the end, looking now and then whether anybody listens. HTTP's status, and the body.
  int finish(const std::function<bool()>& gone, std::string& body);
  // Waits a moment for more; server-sent events, maybe none. False: these were the last.
  bool next_events(std::string& events);

 private:
  struct One {  // of the prompts
    std::shared_ptr<Ticket> ticket;
    ApiChoice choice;
    dim prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
    double writing_seconds = 0;
    bool ended = false;
  };
  void submit(const Prompt& prompt, const ApiRequest& request);
  void take(One& one, TicketNews& news) const;
  ApiUsage usage() const;
  const Tokenizer& tokenizer() const { return engine_.model().tokenizer(); }

  ApiHead head_;
  BatchEngine& engine_;
  bool echo_, include_usage_;
  bool accepted_ = true, first_ = true;
  std::vector<One> all_;
};

}  // namespace pith
