#include "serve/generate.h"

#include <algorithm>

#include "core/error.h"
#include "serve/session.h"

namespace pith {

const char* name_of(StopReason reason) {
  switch (reason) {
    case StopReason::max_tokens:
      return "max_tokens";
    case StopReason::context_full:
      return "context_full";
    case StopReason::stop_token:
      return "stop_token";
    case StopReason::stop_string:
      return "stop_string";
    case StopReason::interrupted:
      return "interrupted";
  }
  return "";
}

dim context_for(const Config& config, dim prompt, dim max_tokens, dim context) {
  if (prompt < 1) throw input_error("prompt", "expected at least one token, got none");
  if (max_tokens < 0) throw input_error("max-tokens", "expected a number from 0, got {}", max_tokens);
  const dim limit = context > 0 ? context : config.context > 0 ? config.context : prompt + max_tokens;
  if (prompt > limit)
    throw Error(Blame::input, "prompt", fmt::format("expected at most {} tokens, got {}", limit, prompt),
                "shorten it, or give a larger context");
  return prompt + std::min(limit - prompt, max_tokens);
}

GenerateResult generate(const Model& model, std::span<const Token> prompt, const GenerateOptions& options,
                        const TextSink& sink, const SessionOptions& session) {
  SessionOptions fitting = session;
  fitting.context = context_for(model.config(), dim(prompt.size()), options.max_tokens, session.context);
  return Session(model, fitting).generate(prompt, options, sink);
}

}  // namespace pith
