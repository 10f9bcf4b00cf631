#include "serve/chat_prompt.h"

namespace pith {

namespace {

std::string spelled(const Tokenizer& tokenizer, Token token) {
  return token < 0 ? std::string() : tokenizer.decode({&token, 1}, false);
}

}  // namespace

ChatPrompt chat_prompt(const Tokenizer& tokenizer, std::string_view messages_json, const ChatOptions& given) {
  ChatOptions options = given;
  options.bos_token = spelled(tokenizer, tokenizer.bos());
  options.eos_token = spelled(tokenizer, tokenizer.eos());
  ChatPrompt prompt;
  prompt.text = render_chat_json(tokenizer.chat_template(), messages_json, options);
  prompt.tokens = tokenizer.encode(prompt.text, false, true);
  const Token bos = tokenizer.bos();
  if (tokenizer.adds_bos() && bos >= 0 && (prompt.tokens.empty() || prompt.tokens[0] != bos))
    prompt.tokens.insert(prompt.tokens.begin(), bos);
  return prompt;
}

}  // namespace pith
