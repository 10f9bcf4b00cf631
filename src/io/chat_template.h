// A conversation as the one text that a model was trained to answer.
#pragma once
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pith {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

struct ChatOptions {
  bool add_generation_prompt = true;  // ends where the assistant begins
  std::string bos_token, eos_token;   // as the vocabulary spells them
  std::string tools_json;             // an array of function descriptions; empty: none
  std::string variables_json;         // an object of further names for the template, such as enable_thinking
  std::optional<std::tm> now;         // for templates that write a date; absent: the local time
};

// template_text: the model's own (Tokenizer::chat_template). Error(input) when it is empty or cannot be rendered, or
// when the template refuses the conversation.
std::string render_chat(std::string_view template_text, std::span<const ChatMessage> messages,
                        const ChatOptions& options = {});
// messages_json: an array of objects, for messages with more than a role and a content.
std::string render_chat_json(std::string_view template_text, std::string_view messages_json,
                             const ChatOptions& options = {});

}  // namespace pith
