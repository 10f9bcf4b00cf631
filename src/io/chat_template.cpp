#include "io/chat_template.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/jinja/jinja.h"
#include "io/json.h"
#include "io/unicode.h"

namespace pith {

namespace {

using ordered_json = nlohmann::ordered_json;

// Checked by the one parser that trusts nothing, then read again in the order of its keys.
ordered_json parse_ordered(std::string_view text, std::string_view where) {
  (void)parse_json(text, where);
  return ordered_json::parse(text);
}

std::tm local_time() {
  const std::time_t seconds = std::time(nullptr);
  std::tm time{};
  localtime_r(&seconds, &time);
  return time;
}

std::string render(std::string_view template_text, ordered_json messages, const ChatOptions& options) {
  if (template_text.empty())
    throw Error(Blame::input, "chat template", "the model has none",
                "a base model only goes on from a text; use a model trained to chat, or write the prompt yourself");
  ordered_json variables = {{"messages", std::move(messages)},
                            {"tools", nullptr},
                            {"documents", nullptr},
                            {"add_generation_prompt", options.add_generation_prompt}};
  if (!options.bos_token.empty()) variables["bos_token"] = options.bos_token;
  if (!options.eos_token.empty()) variables["eos_token"] = options.eos_token;
  if (!options.tools_json.empty()) variables["tools"] = parse_ordered(options.tools_json, "tools");
  if (!options.variables_json.empty()) {
    const ordered_json more = parse_ordered(options.variables_json, "template variables");
    if (!more.is_object()) throw input_error("template variables", "expected an object");
    variables.update(more);
  }
  return jinja::render(template_text, variables, options.now.value_or(local_time()));
}

}  // namespace

std::string render_chat(std::string_view template_text, std::span<const ChatMessage> messages,
                        const ChatOptions& options) {
  ordered_json list = ordered_json::array();
  for (const ChatMessage& m : messages)
    list.push_back({{"role", replace_invalid_utf8(m.role)}, {"content", replace_invalid_utf8(m.content)}});
  return render(template_text, std::move(list), options);
}

std::string render_chat_json(std::string_view template_text, std::string_view messages_json,
                             const ChatOptions& options) {
  ordered_json messages = parse_ordered(messages_json, "messages");
  if (!messages.is_array()) throw input_error("messages", "expected an array");
  return render(template_text, std::move(messages), options);
}

}  // namespace pith
