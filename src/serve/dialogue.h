// Turns with a model that was trained to chat. When they outgrow the context the oldest are left out, never the system
// message.
#pragma once
#include <vector>

#include "io/chat_template.h"
#include "serve/session.h"

namespace pith {

class Dialogue {
 public:
  // session must be of `model`; both must outlive this.
  Dialogue(const Model& model, Session& session) : model_(model), session_(session) {}

  // Error(input) as Session::generate, and when the template refuses; the question is then not part of the dialogue.
  GenerateResult ask(const std::string& question, GenerateOptions options, const TextSink& sink);
  void set_system(std::string text);  // empty: none
  void reset();                       // the turns, not the system message
  void set_messages(std::vector<ChatMessage> messages);

  const std::vector<ChatMessage>& messages() const { return messages_; }
  dim left_out() const { return left_out_; }  // messages that the last answer did not see

 private:
  std::vector<Token> prompt_from(std::size_t first) const;
  dim tokens_to_keep() const;
  std::size_t turns_begin() const { return !messages_.empty() && messages_[0].role == "system" ? 1 : 0; }

  const Model& model_;
  Session& session_;
  std::vector<ChatMessage> messages_;
  dim left_out_ = 0;
};

// [{"role": ..., "content": ...}, ...]
std::string messages_json(std::span<const ChatMessage> messages);
// Error(input) unless each message is an object with a role and a content that are strings.
std::vector<ChatMessage> messages_of_json(std::string_view text, std::string_view where);

}  // namespace pith
