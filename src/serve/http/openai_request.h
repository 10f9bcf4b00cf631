// Requests as OpenAI's API has them, out of untrusted JSON.
#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "serve/generate.h"

namespace pith {

struct RequestLimits {
  dim prompts = 64;       // texts in one request
  dim max_tokens = 2048;  // of an answer; more is cut down to that
  dim stops = 16;
  dim stop_bytes = 256;  // of one stop string
  int logprobs = 20;
};

// A text, or token ids.
using Prompt = std::variant<std::string, std::vector<Token>>;

struct ApiRequest {
  std::string model;                      // empty: any
  std::vector<Prompt> prompts;            // of /v1/completions
  std::string messages;                   // of /v1/chat/completions: a JSON array
  std::string tools, template_variables;  // JSON, or empty
  GenerateOptions options;
  bool stream = false, echo = false, include_usage = false;
  bool seeded = false;  // the request says with which seed
};

// Error(input) whose `where` is the field at fault.
ApiRequest parse_completion(std::string_view body, const RequestLimits& limits = {});
ApiRequest parse_chat(std::string_view body, const RequestLimits& limits = {});

}  // namespace pith
