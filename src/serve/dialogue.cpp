#include "serve/dialogue.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/json.h"
#include "serve/chat_prompt.h"
#include "serve/text_stream.h"

namespace pith {

std::string messages_json(std::span<const ChatMessage> messages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ChatMessage& m : messages)
    list.push_back({{"role", repaired_utf8(m.role)}, {"content", repaired_utf8(m.content)}});
  return list.dump();
}

std::vector<ChatMessage> messages_of_json(std::string_view text, std::string_view where) {
  const nlohmann::json list = parse_json(text, where);
  if (!list.is_array()) throw input_error(where, "expected an array of messages");
  std::vector<ChatMessage> messages;
  for (const auto& m : list) {
    if (!m.is_object() || !m.contains("role") || !m["role"].is_string() || !m.contains("content") ||
        !m["content"].is_string())
      throw input_error(where, "expected each message to have a role and a content");
    messages.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
  }
  return messages;
}

// The system message and the turns from `first` on.
std::vector<Token> Dialogue::prompt_from(std::size_t first) const {
  std::vector<ChatMessage> kept(messages_.begin(), messages_.begin() + std::ptrdiff_t(turns_begin()));
  kept.insert(kept.end(), messages_.begin() + std::ptrdiff_t(first), messages_.end());
  return chat_prompt(model_.tokenizer(), messages_json(kept)).tokens;
}

// What all prompts with this system message begin with.
dim Dialogue::tokens_to_keep() const {
  std::vector<ChatMessage> kept(messages_.begin(), messages_.begin() + std::ptrdiff_t(turns_begin()));
  const auto with = [&](const char* question) {
    std::vector<ChatMessage> messages = kept;
    messages.push_back({"user", question});
    return chat_prompt(model_.tokenizer(), messages_json(messages)).tokens;
  };
  const auto a = with("1"), b = with("a");
  return dim(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

GenerateResult Dialogue::ask(const std::string& question, GenerateOptions options, const TextSink& sink) {
  messages_.push_back({"user", question});
  try {
    const dim room = session_.capacity() - std::min(options.max_tokens, session_.capacity() / 4);
    std::size_t first = turns_begin();
    std::vector<Token> prompt = prompt_from(first);
    while (dim(prompt.size()) > room && first + 1 < messages_.size()) {
      do ++first;
      while (first + 1 < messages_.size() && messages_[first].role != "user");
      prompt = prompt_from(first);
    }
    left_out_ = dim(first - turns_begin());
    options.shift = true;
    options.keep = tokens_to_keep();
    GenerateResult result = session_.generate(prompt, options, sink);
    messages_.push_back({"assistant", result.text});
    return result;
  } catch (...) {
    messages_.pop_back();
    throw;
  }
}

void Dialogue::set_system(std::string text) {
  if (turns_begin() == 1) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), {"system", std::move(text)});
}

void Dialogue::reset() { messages_.resize(turns_begin()); }

void Dialogue::set_messages(std::vector<ChatMessage> messages) { messages_ = std::move(messages); }

}  // namespace pith
