#include "serve/http/openai_request.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/json.h"

namespace pith {

namespace {

using nlohmann::json;

// The fields of a request; null is as good as absent.
class Fields {
 public:
  explicit Fields(std::string_view body) : root_(parse_json(body, "body", {.max_depth = 16})) {
    if (!root_.is_object()) throw input_error("body", "expected a JSON object");
  }
  const json* find(const char* name) const {
    const auto at = root_.find(name);
    return at == root_.end() || at->is_null() ? nullptr : &*at;
  }
  double number(const char* name, double otherwise, double low, double high) const {
    const json* value = find(name);
    if (!value) return otherwise;
    const double x = value->is_number() ? value->get<double>() : std::nan("");
    if (!(x >= low && x <= high)) throw input_error(name, "expected a number in {} ... {}", low, high);
    return x;
  }
  dim integer(const char* name, dim otherwise, dim low, dim high) const {
    const json* value = find(name);
    if (!value) return otherwise;
    // Large unsigned numbers would wrap when read as signed ones.
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= std::uint64_t(high));
    const dim x = fits ? value->get<dim>() : low;
    if (!fits || x < low || x > high) throw input_error(name, "expected an integer in {} ... {}", low, high);
    return x;
  }
  bool flag(const char* name) const {
    const json* value = find(name);
    if (value && !value->is_boolean()) throw input_error(name, "expected true or false");
    return value && value->get<bool>();
  }
  std::string text(const char* name) const {
    const json* value = find(name);
    if (value && !value->is_string()) throw input_error(name, "expected a string");
    return value ? value->get<std::string>() : "";
  }

 private:
  json root_;
};

std::vector<std::string> stops_of(const Fields& in, const RequestLimits& limits) {
  const json* value = in.find("stop");
  if (!value) return {};
  std::vector<std::string> stops;
  const json list = value->is_string() ? json::array({*value}) : *value;
  if (!list.is_array() || dim(list.size()) > limits.stops)
    throw input_error("stop", "expected a string, or an array of up to {} of them", limits.stops);
  for (const json& stop : list) {
    if (!stop.is_string() || dim(stop.get_ref<const std::string&>().size()) > limits.stop_bytes)
      throw input_error("stop", "expected strings of up to {} bytes", limits.stop_bytes);
    if (!stop.get_ref<const std::string&>().empty()) stops.push_back(stop.get<std::string>());
  }
  return stops;
}

std::uint64_t seed_of(const Fields& in) {
  const json* value = in.find("seed");
  if (!value) return 0;
  if (!value->is_number_integer()) throw input_error("seed", "expected an integer");
  return value->is_number_unsigned() ? value->get<std::uint64_t>() : std::uint64_t(value->get<dim>());
}

// What asks for something we do not have must not be passed over in silence.
void refuse_unknown_wishes(const Fields& in) {
  in.integer("n", 1, 1, 1);
  in.integer("best_of", 1, 1, 1);
  for (const char* name : {"frequency_penalty", "presence_penalty"})
    if (in.number(name, 0, -2, 2) != 0) throw Error(Blame::input, name, "expected 0", "repetition_penalty is there");
  for (const char* name : {"logit_bias", "suffix", "functions"}) {
    const json* value = in.find(name);
    if (value && !value->empty()) throw input_error(name, "expected none: this server does not have it");
  }
  if (const json* format = in.find("response_format"))
    if (!format->is_object() || format->value("type", json()) != "text")
      throw input_error("response_format", "expected the type text");
}

ApiRequest common_fields(const Fields& in, const RequestLimits& limits) {
  refuse_unknown_wishes(in);
  ApiRequest out;
  out.model = in.text("model");
  out.stream = in.flag("stream");
  if (const json* options = in.find("stream_options")) {
    if (!options->is_object()) throw input_error("stream_options", "expected an object");
    const json usage = options->value("include_usage", json(false));
    if (!usage.is_boolean()) throw input_error("stream_options", "expected include_usage to be true or false");
    out.include_usage = usage.get<bool>();
  }
  GenerateOptions& o = out.options;
  constexpr dim kMost = std::numeric_limits<std::int32_t>::max();
  o.sampler.temperature = in.number("temperature", 1, 0, 100);
  o.sampler.top_p = in.number("top_p", 1, 0, 1);
  if (o.sampler.top_p == 0) o.sampler.top_p = std::numeric_limits<double>::min();  // the likeliest alone
  o.sampler.top_k = in.integer("top_k", 0, 0, kMost);
  o.sampler.min_p = in.number("min_p", 0, 0, 1);
  o.sampler.repetition_penalty = in.number("repetition_penalty", 1, 0.01, 100);
  o.sampler.seed = seed_of(in);
  out.seeded = in.find("seed") != nullptr;
  o.stop_strings = stops_of(in, limits);
  o.ignore_end = in.flag("ignore_eos");
  return out;
}

std::vector<Token> tokens_of(const json& list) {
  std::vector<Token> tokens;
  for (const json& t : list) {
    const bool fits =
        t.is_number_unsigned() && t.get<std::uint64_t>() <= std::uint64_t(std::numeric_limits<Token>::max());
    if (!fits) throw input_error("prompt", "expected token ids to be integers from 0");
    tokens.push_back(t.get<Token>());
  }
  return tokens;
}

// A string, an array of token ids, or an array of either.
std::vector<Prompt> prompts_of(const Fields& in, const RequestLimits& limits) {
  const json* value = in.find("prompt");
  if (!value) throw input_error("prompt", "expected one, got none");
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array() || value->empty())
    throw input_error("prompt", "expected a string, an array of strings, or token ids");
  if ((*value)[0].is_number()) return {tokens_of(*value)};
  if (dim(value->size()) > limits.prompts)
    throw input_error("prompt", "expected at most {} prompts, got {}", limits.prompts, value->size());
  std::vector<Prompt> prompts;
  for (const json& p : *value) {
    if (p.is_string())
      prompts.emplace_back(p.get<std::string>());
    else if (p.is_array())
      prompts.emplace_back(tokens_of(p));
    else
      throw input_error("prompt", "expected strings or arrays of token ids");
  }
  return prompts;
}

// The text of a message whose content comes in parts.
std::string joined_parts(const json& parts) {
  std::string text;
  for (const json& part : parts) {
    if (!part.is_object() || part.value("type", json()) != "text" || !part.contains("text") ||
        !part["text"].is_string())
      throw input_error("messages", "expected parts of the type text: this server reads nothing else");
    text += part["text"].get<std::string>();
  }
  return text;
}

std::string messages_of(const Fields& in) {
  const json* value = in.find("messages");
  if (!value || !value->is_array() || value->empty())
    throw input_error("messages", "expected an array of at least one message");
  json messages = *value;
  for (json& m : messages) {
    if (!m.is_object() || !m.contains("role") || !m["role"].is_string())
      throw input_error("messages", "expected objects with a role");
    if (m.contains("content") && m["content"].is_array()) m["content"] = joined_parts(m["content"]);
    const bool calls = m.contains("tool_calls");
    if (!m.contains("content") || m["content"].is_null()) m["content"] = "";
    if (!m["content"].is_string() && !calls) throw input_error("messages", "expected the content to be a string");
  }
  return messages.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

ApiRequest parse_completion(std::string_view body, const RequestLimits& limits) {
  const Fields in(body);
  ApiRequest out = common_fields(in, limits);
  out.prompts = prompts_of(in, limits);
  out.echo = in.flag("echo");
  out.options.max_tokens =
      std::min(in.integer("max_tokens", 16, 0, std::numeric_limits<dim>::max()), limits.max_tokens);
  out.options.logprobs = int(in.integer("logprobs", -1, 0, limits.logprobs));
  return out;
}

ApiRequest parse_chat(std::string_view body, const RequestLimits& limits) {
  const Fields in(body);
  ApiRequest out = common_fields(in, limits);
  out.messages = messages_of(in);
  if (const json* tools = in.find("tools")) {
    if (!tools->is_array()) throw input_error("tools", "expected an array");
    if (!tools->empty()) out.tools = tools->dump(-1, ' ', false, json::error_handler_t::replace);
  }
  if (const json* variables = in.find("chat_template_kwargs")) {
    if (!variables->is_object()) throw input_error("chat_template_kwargs", "expected an object");
    out.template_variables = variables->dump(-1, ' ', false, json::error_handler_t::replace);
  }
  const char* name = in.find("max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
  out.options.max_tokens =
      std::min(in.integer(name, limits.max_tokens, 1, std::numeric_limits<dim>::max()), limits.max_tokens);
  const int others = int(in.integer("top_logprobs", 0, 0, limits.logprobs));
  if (in.flag("logprobs")) out.options.logprobs = others;
  return out;
}

}  // namespace pith
