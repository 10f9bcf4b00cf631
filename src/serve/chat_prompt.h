// A conversation as the tokens that a model was trained to answer.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "io/chat_template.h"
#include "io/tokenizer.h"

namespace pith {

struct ChatPrompt {
  std::string text;
  std::vector<Token> tokens;
};

// messages_json: an array of objects. Templates mostly write BOS themselves; it is put before the others where the
// tokenizer wants one. Error(input) when the model has no template or the template refuses the conversation.
ChatPrompt chat_prompt(const Tokenizer& tokenizer, std::string_view messages_json, const ChatOptions& options = {});

}  // namespace pith
