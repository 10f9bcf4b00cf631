#include "serve/http/openai_response.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/text_stream.h"

namespace pith {

namespace {

using nlohmann::ordered_json;

std::string text_of(const Tokenizer& tokenizer, Token token) {
  return tokenizer.is_special(token) ? tokenizer.decode({&token, 1}, false) : tokenizer.piece(token);
}

std::string dumped(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// "length" also for answers that took too long: they are cut all the same.
const char* finish_reason(StopReason reason) {
  return reason == StopReason::stop_token || reason == StopReason::stop_string ? "stop" : "length";
}

ordered_json completion_scores(const ApiChoice& choice, const Tokenizer& tokenizer) {
  ordered_json tokens = ordered_json::array(), logprobs = tokens, top = tokens, offsets = tokens;
  dim at = choice.text_offset;
  const auto add = [&](Token token, const ordered_json& logprob, const ordered_json& likeliest) {
    const std::string text = repaired_utf8(text_of(tokenizer, token));
    tokens.push_back(text);
    logprobs.push_back(logprob);
    top.push_back(likeliest);
    offsets.push_back(at);
    at += characters(text);
  };
  if (choice.unscored_first >= 0) add(choice.unscored_first, nullptr, nullptr);
  for (const TokenScore& score : choice.scores) {
    ordered_json likeliest = ordered_json::object();
    for (const auto& other : score.likeliest) {
      const std::string text = repaired_utf8(text_of(tokenizer, other.token));
      if (!likeliest.contains(text)) likeliest[text] = other.logprob;  // the best of those that look the same
    }
    add(score.token, score.logprob, likeliest);
  }
  return {{"tokens", tokens}, {"token_logprobs", logprobs}, {"top_logprobs", top}, {"text_offset", offsets}};
}

ordered_json chat_token(Token token, float logprob, const Tokenizer& tokenizer) {
  const std::string text = text_of(tokenizer, token);
  ordered_json bytes = ordered_json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", repaired_utf8(text)}, {"logprob", logprob}, {"bytes", bytes}};
}

ordered_json chat_scores(const ApiChoice& choice, const Tokenizer& tokenizer) {
  ordered_json content = ordered_json::array();
  for (const TokenScore& score : choice.scores) {
    ordered_json likeliest = ordered_json::array();
    for (const auto& other : score.likeliest) likeliest.push_back(chat_token(other.token, other.logprob, tokenizer));
    ordered_json token = chat_token(score.token, score.logprob, tokenizer);
    token["top_logprobs"] = likeliest;
    content.push_back(token);
  }
  return {{"content", content}};
}

ordered_json scores_of(const ApiHead& head, const ApiChoice& choice, const Tokenizer& tokenizer) {
  if (!choice.with_scores) return nullptr;
  return head.chat ? chat_scores(choice, tokenizer) : completion_scores(choice, tokenizer);
}

ordered_json head_json(const ApiHead& head, bool piece) {
  const char* object = !head.chat ? "text_completion" : piece ? "chat.completion.chunk" : "chat.completion";
  return {{"id", head.id}, {"object", object}, {"created", head.created}, {"model", head.model}};
}

ordered_json usage_json(const ApiUsage& usage) {
  ordered_json out = {{"prompt_tokens", usage.prompt_tokens},
                      {"completion_tokens", usage.completion_tokens},
                      {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
                      {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
  if (usage.tokens_per_second > 0) out["tokens_per_second"] = usage.tokens_per_second;
  return out;
}

}  // namespace

dim characters(std::string_view utf8) {
  return std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

std::string whole_answer(const ApiHead& head, const std::vector<ApiChoice>& choices, const ApiUsage& usage,
                         const Tokenizer& tokenizer) {
  ordered_json out = head_json(head, false);
  out["choices"] = ordered_json::array();
  for (const ApiChoice& choice : choices) {
    ordered_json one = {{"index", choice.index}};
    if (head.chat)
      one["message"] = {{"role", "assistant"}, {"content", choice.text}};
    else
      one["text"] = choice.text;
    one["logprobs"] = scores_of(head, choice, tokenizer);
    one["finish_reason"] = finish_reason(choice.reason);
    out["choices"].push_back(one);
  }
  out["usage"] = usage_json(usage);
  return dumped(out);
}

std::string answer_piece(const ApiHead& head, const ApiChoice& choice, bool first, const Tokenizer& tokenizer) {
  ordered_json one = {{"index", choice.index}};
  if (head.chat) {
    one["delta"] = ordered_json::object();
    if (first) one["delta"]["role"] = "assistant";
    if (first || !choice.text.empty()) one["delta"]["content"] = choice.text;
  } else {
    one["text"] = choice.text;
  }
  one["logprobs"] = scores_of(head, choice, tokenizer);
  one["finish_reason"] = choice.ended ? ordered_json(finish_reason(choice.reason)) : ordered_json(nullptr);
  ordered_json out = head_json(head, true);
  out["choices"] = ordered_json::array({one});
  return dumped(out);
}

std::string usage_piece(const ApiHead& head, const ApiUsage& usage) {
  ordered_json out = head_json(head, true);
  out["choices"] = ordered_json::array();
  out["usage"] = usage_json(usage);
  return dumped(out);
}

std::string error_json(int status, const std::string& message, const std::string& param) {
  const char* type = status == 401   ? "authentication_error"
                     : status == 404 ? "not_found_error"
                     : status == 429 ? "rate_limit_error"
                     : status >= 500 ? "server_error"
                                     : "invalid_request_error";
  return dumped({{"error",
                  {{"message", message},
                   {"type", type},
                   {"param", param.empty() ? ordered_json(nullptr) : ordered_json(param)},
                   {"code", status}}}});
}

}  // namespace pith
