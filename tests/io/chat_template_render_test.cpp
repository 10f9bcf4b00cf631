#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "io/chat_template.h"

namespace pith {

namespace {

constexpr const char* kTurns =
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";

}  // namespace

TEST(ChatTemplate, MessagesAndTokens) {
  const std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi {{ x }}"}};
  ChatOptions options;
  options.bos_token = "<s>", options.eos_token = "</s>";
  EXPECT_EQ(render_chat(kTurns, messages, options), "<s><|system|>Be brief.</s><|user|>Hi {{ x }}</s><|assistant|>");
  options.add_generation_prompt = false;
  EXPECT_EQ(render_chat(kTurns, messages, options), "<s><|system|>Be brief.</s><|user|>Hi {{ x }}</s>");
}

TEST(ChatTemplate, ToolsAndVariablesKeepTheirOrder) {
  ChatOptions options;
  options.tools_json = R"([{"z": 1, "a": "é"}])";
  options.variables_json = R"({"enable_thinking": false})";
  EXPECT_EQ(render_chat("{{ tools | tojson }}{{ enable_thinking }}{{ documents is none }}", {}, options),
            "[{\"z\": 1, \"a\": \"é\"}]FalseTrue");
  EXPECT_EQ(render_chat_json("{{ messages[0].x }}", R"([{"x": [1, 2]}])"), "[1, 2]");
}

TEST(ChatTemplate, Refusals) {
  try {
    (void)render_chat("", {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_TRUE(std::string(e.what()).find("hint: a base model") != std::string::npos) << e.what();
  }
  EXPECT_THROW((void)render_chat_json("x", "{}"), Error);
  EXPECT_THROW((void)render_chat_json("x", "[1"), Error);
  ChatOptions options;
  options.variables_json = "[]";
  EXPECT_THROW((void)render_chat("x", {}, options), Error);
}

}  // namespace pith
