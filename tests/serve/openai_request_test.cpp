#include "serve/http/openai_request.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace pith {
namespace {

std::string fault_of(const std::string& body, bool chat = false) {
  try {
    chat ? parse_chat(body) : parse_completion(body);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(OpenAiRequest, PromptsComeInFourForms) {
  EXPECT_EQ(parse_completion(R"({"prompt": "a"})").prompts, (std::vector<Prompt>{"a"}));
  EXPECT_EQ(parse_completion(R"({"prompt": ["a", ""]})").prompts, (std::vector<Prompt>{"a", ""}));
  EXPECT_EQ(parse_completion(R"({"prompt": [1, 2]})").prompts, (std::vector<Prompt>{std::vector<Token>{1, 2}}));
  EXPECT_EQ(parse_completion(R"({"prompt": [[1, 2], [3], "b"]})").prompts,
            (std::vector<Prompt>{std::vector<Token>{1, 2}, std::vector<Token>{3}, "b"}));
  for (const char* bad : {R"({})", R"({"prompt": null})", R"({"prompt": []})", R"({"prompt": {}})",
                          R"({"prompt": [1, "a"]})", R"({"prompt": [-1]})", R"({"prompt": [1.5]})",
                          R"({"prompt": [4294967296]})", R"({"prompt": [[1], [["x"]]]})", R"({"prompt": true})"})
    EXPECT_NE(fault_of(bad).find("[prompt]"), std::string::npos) << bad << ": " << fault_of(bad);
}

TEST(OpenAiRequest, ReadsEveryChoice) {
  const ApiRequest r = parse_completion(R"({"model": "m", "prompt": "a", "max_tokens": 7, "temperature": 0.5,
      "top_p": 0.9, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "seed": 18446744073709551615, "stop": "x",
      "logprobs": 3, "echo": true, "stream": true, "stream_options": {"include_usage": true}, "n": 1,
      "ignore_eos": true, "unknown": [1, 2]})");
  EXPECT_EQ(r.model, "m");
  EXPECT_EQ(r.options.max_tokens, 7);
  EXPECT_EQ(r.options.sampler.temperature, 0.5);
  EXPECT_EQ(r.options.sampler.top_p, 0.9);
  EXPECT_EQ(r.options.sampler.top_k, 40);
  EXPECT_EQ(r.options.sampler.min_p, 0.05);
  EXPECT_EQ(r.options.sampler.repetition_penalty, 1.1);
  EXPECT_EQ(r.options.sampler.seed, 18446744073709551615ull);
  EXPECT_EQ(r.options.stop_strings, std::vector<std::string>{"x"});
  EXPECT_EQ(r.options.logprobs, 3);
  EXPECT_TRUE(r.echo && r.stream && r.include_usage && r.seeded && r.options.ignore_end);
  const ApiRequest plain = parse_completion(R"({"prompt": "a"})");
  EXPECT_EQ(plain.options.max_tokens, 16);
  EXPECT_EQ(plain.options.sampler.temperature, 1);
  EXPECT_EQ(plain.options.logprobs, -1);
  EXPECT_FALSE(plain.echo || plain.stream || plain.seeded);
  EXPECT_EQ(parse_completion(R"({"prompt": "a", "max_tokens": 1000000000000})").options.max_tokens, 2048);
}

TEST(OpenAiRequest, NamesTheFieldAtFault) {
  for (const char* field :
       {"max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "stop", "logprobs",
        "echo", "stream", "stream_options", "n", "model", "logit_bias", "best_of"})
    for (const char* value : {"\"1e\"", "-3", "[[3]]", "1e300"}) {
      if (std::string(value) == "-3" && std::string(field) == "seed") continue;
      if (std::string(value) == "\"1e\"" && (std::string(field) == "stop" || std::string(field) == "model")) continue;
      const std::string fault = fault_of(std::string(R"({"prompt": "a", ")") + field + "\": " + value + "}");
      EXPECT_EQ(fault.find("[" + std::string(field) + "]"), 0u) << field << " " << value << ": " << fault;
    }
  EXPECT_NE(fault_of("").find("[body]"), std::string::npos);
  EXPECT_NE(fault_of("[]").find("[body]"), std::string::npos);
  EXPECT_NE(fault_of(std::string(100, '[')).find("[body]"), std::string::npos);
  EXPECT_NE(fault_of(R"({"prompt": "a", "frequency_penalty": 1})").find("repetition_penalty"), std::string::npos);
}

TEST(OpenAiRequest, ChatsHaveMessages) {
  const ApiRequest r = parse_chat(R"({"messages": [{"role": "user", "content": "Hi"},
      {"role": "assistant", "content": null, "tool_calls": []},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
      "logprobs": true, "top_logprobs": 2, "max_completion_tokens": 5, "max_tokens": 9,
      "chat_template_kwargs": {"enable_thinking": false}})");
  EXPECT_EQ(r.messages, R"([{"content":"Hi","role":"user"},{"content":"","role":"assistant","tool_calls":[]},)"
                        R"({"content":"ab","role":"user"}])");
  EXPECT_EQ(r.options.logprobs, 2);
  EXPECT_EQ(r.options.max_tokens, 5);
  EXPECT_EQ(r.template_variables, R"({"enable_thinking":false})");
  for (const char* bad :
       {R"({})", R"({"messages": []})", R"({"messages": "x"})", R"({"messages": [1]})", R"({"messages": [{}]})",
        R"({"messages": [{"role": 1}]})", R"({"messages": [{"role": "user", "content": 5}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})"})
    EXPECT_NE(fault_of(bad, true).find("[messages]"), std::string::npos) << bad;
}

}  // namespace
}  // namespace pith
