#include "serve/http/answering.h"

#include "serve/chat_prompt.h"
#include "serve/text_stream.h"

namespace pith {

namespace {

constexpr std::chrono::milliseconds kPatience(100);

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

int status_of(const TicketNews& news) { return news.server_stopped ? 503 : 500; }

Prompt chat_tokens(const Tokenizer& tokenizer, const ApiRequest& request) {
  ChatOptions options;
  options.tools_json = request.tools;
  options.variables_json = request.template_variables;
  return chat_prompt(tokenizer, request.messages, options).tokens;
}

}  // namespace

Answering::Answering(ApiHead head, const ApiRequest& request, BatchEngine& engine)
    : head_(std::move(head)), engine_(engine), echo_(request.echo), include_usage_(request.include_usage) {
  try {
    if (head_.chat) submit(chat_tokens(tokenizer(), request), request);
    for (const Prompt& prompt : request.prompts) submit(prompt, request);
  } catch (...) {
    for (One& one : all_) one.ticket->cancel();
    throw;
  }
}

Answering::~Answering() {
  for (One& one : all_)
    if (!one.ended) one.ticket->cancel();
}

void Answering::submit(const Prompt& prompt, const ApiRequest& request) {
  if (!accepted_) return;
  const std::string* text = std::get_if<std::string>(&prompt);
  BatchRequest batch = {text ? tokenizer().encode(*text) : std::get<std::vector<Token>>(prompt), request.options,
                        echo_};
  if (batch.prompt.empty() && tokenizer().bos() >= 0) batch.prompt = {tokenizer().bos()};
  One one;
  one.choice.index = int(all_.size());
  one.choice.with_scores = request.options.logprobs >= 0;
  one.prompt_tokens = dim(batch.prompt.size());
  const std::vector<Token> tokens = batch.prompt;
  one.ticket = engine_.submit(std::move(batch));
  accepted_ = one.ticket != nullptr;
  if (!accepted_) return;
  if (echo_) {
    one.choice.text = repaired_utf8(text ? *text : tokenizer().decode(tokens, false));
    // A BOS that the text does not have is not of the text.
    const bool hidden = text && tokenizer().adds_bos() && tokens[0] == tokenizer().bos();
    if (!hidden && one.choice.with_scores) one.choice.unscored_first = tokens[0];
  }
  all_.push_back(std::move(one));
}

void Answering::take(One& one, TicketNews& news) const {
  one.choice.text += news.text;
  for (auto* scores : {&news.prompt_scores, &news.scores})
    for (TokenScore& score : *scores) one.choice.scores.push_back(std::move(score));
  // Who asks for one token after an echoed prompt takes the last score to be that token's, whichever it was.
  if (news.end_score && !head_.chat) one.choice.scores.push_back(std::move(*news.end_score));
  one.completion_tokens += dim(news.tokens.size());
  one.cached_tokens = news.reused_tokens;
  one.writing_seconds = news.writing_seconds;
  one.ended = one.choice.ended = news.ended();
  one.choice.reason = news.reason;
}

ApiUsage Answering::usage() const {
  ApiUsage sum;
  for (const One& one : all_) {
    sum.prompt_tokens += one.prompt_tokens;
    sum.completion_tokens += one.completion_tokens;
    sum.cached_tokens += one.cached_tokens;
  }
  if (all_.size() == 1 && all_[0].writing_seconds > 0)
    sum.tokens_per_second = double(all_[0].completion_tokens - 1) / all_[0].writing_seconds;
  return sum;
}

int Answering::finish(const std::function<bool()>& gone, std::string& body) {
  for (One& one : all_)
    while (!one.ended) {
      TicketNews news = one.ticket->wait(kPatience);
      take(one, news);
      if (news.state == TicketState::failed) {
        body = error_json(status_of(news), news.error);
        return status_of(news);
      }
      if (!one.ended && gone()) return body = error_json(499, "the client has gone"), 499;
    }
  std::vector<ApiChoice> choices;
  for (One& one : all_) choices.push_back(std::move(one.choice));
  body = whole_answer(head_, choices, usage(), tokenizer());
  return 200;
}

bool Answering::next_events(std::string& events) {
  One& one = all_.at(0);
  TicketNews news = one.ticket->wait(kPatience);
  take(one, news);
  if (news.state == TicketState::failed) {
    events = event(error_json(status_of(news), news.error)) + event("[DONE]");
    return false;
  }
  ApiChoice& choice = one.choice;
  if (!choice.text.empty() || !choice.scores.empty() || first_ || one.ended) {
    events = event(answer_piece(head_, choice, first_, tokenizer()));
    first_ = false;
    choice.text_offset += characters(choice.text);
    choice.text.clear();
    choice.scores.clear();
    choice.unscored_first = -1;
  }
  if (!one.ended) return true;
  if (include_usage_) events += event(usage_piece(head_, usage()));
  events += event("[DONE]");
  return false;
}

}  // namespace pith
