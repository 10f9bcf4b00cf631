#include "model/generate.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"

namespace pith {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Tokens that prompt and answer may take together.
dim context_of(const Config& config, dim prompt, const GenerateOptions& options) {
  dim limit = config.context > 0 ? config.context : prompt + options.max_tokens;
  if (options.context > 0) limit = options.context;
  if (prompt > limit)
    throw Error(Blame::input, "prompt", fmt::format("expected at most {} tokens, got {}", limit, prompt),
                "shorten it, or give a larger context");
  return prompt + std::min(limit - prompt, options.max_tokens);
}

std::vector<Token> stops_of(const Model& model, const GenerateOptions& options) {
  std::vector<Token> stops = options.stop_tokens;
  if (!options.ignore_end)
    for (const Token t : model.tokenizer().end_tokens()) stops.push_back(t);
  return stops;
}

}  // namespace

GenerateResult generate(const Model& model, std::span<const Token> prompt, const GenerateOptions& options,
                        const TextSink& sink) {
  if (prompt.empty()) throw input_error("prompt", "expected at least one token, got none");
  if (options.max_tokens < 0) throw input_error("max-tokens", "expected a number from 0, got {}", options.max_tokens);
  const dim limit = context_of(model.config(), dim(prompt.size()), options);
  const std::vector<Token> stops = stops_of(model, options);
  Forward forward(Network::of(model, options.activations ? &options.activations->plan() : nullptr));
  const KvSpec& kv = options.kv ? *options.kv : model.run_time().kv;
  KvCache cache(model.config(), 1, limit, kv);
  Sampler sampler(options.sampler);
  TextStream stream(options.stop_strings);
  std::vector<Token> history(prompt.begin(), prompt.end());
  GenerateResult result;
  result.prompt_tokens = dim(prompt.size());
  result.kv = kv.text();
  result.kv_bytes = cache.size_bytes();

  const auto show = [&](const std::string& text) {
    result.text += text;
    return text.empty() || sink(text);
  };
  auto start = std::chrono::steady_clock::now();
  std::span<const float> logits = forward.next(cache, prompt);
  result.prompt_seconds = seconds_since(start);
  start = std::chrono::steady_clock::now();
  for (;;) {
    const bool enough = dim(result.tokens.size()) >= options.max_tokens;
    if (enough || dim(history.size()) >= limit) {
      result.reason = enough ? StopReason::max_tokens : StopReason::context_full;
      break;
    }
    const Token token = sampler.sample(logits, history);
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
      result.reason = StopReason::stop_token;
      break;
    }
    result.tokens.push_back(token);
    history.push_back(token);
    if (!show(stream.push(model.tokenizer().piece(token)))) {
      result.reason = StopReason::callback;
      break;
    }
    if (stream.stopped()) {
      result.reason = StopReason::stop_string;
      break;
    }
    if (dim(history.size()) < limit) logits = forward.next(cache, std::span(history).last(1));
  }
  if (result.reason != StopReason::callback) show(stream.finish());
  result.decode_seconds = seconds_since(start);
  return result;
}

}  // namespace pith
