// Text from a model, token by token.
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"
#include "model/sampler.h"
#include "serve/token_scores.h"

namespace pith {

struct GenerateOptions {
  dim max_tokens = 128;
  SamplerOptions sampler = {};
  std::vector<Token> stop_tokens = {};  // besides the tokenizer's end tokens
  bool ignore_end = false;              // end tokens do not stop
  std::vector<std::string> stop_strings = {};
  int logprobs = -1;  // with each token its log-probability and those of so many likeliest ones; -1: without
  // When the context is full: forget half of what lies between the first `keep` tokens and the end, and go on.
  bool shift = false;
  dim keep = 0;
  const std::atomic<bool>* interrupted = nullptr;  // becomes true where the answer shall end
};

struct SessionOptions {
  dim context = 0;                          // tokens of prompt and answer together; 0: the model's own limit
  std::optional<KvSpec> kv = {};            // how keys and values are stored; else as the model says
  std::optional<ActSpec> activations = {};  // how linear layers round their inputs; else as the model says
  bool exact = false;                       // products in f32; else as FastNetwork makes them
  const Model* draft = nullptr;             // guesses `draft_tokens` tokens that the model verifies in one run
  dim draft_tokens = 4;
};

enum class StopReason { max_tokens, context_full, stop_token, stop_string, interrupted };
const char* name_of(StopReason reason);

struct GenerateResult {
  std::vector<Token> tokens;       // generated, without the one that stopped
  std::vector<TokenScore> scores;  // of each, where they were asked for
  std::string text;                // all that was streamed
  StopReason reason = StopReason::max_tokens;
  dim prompt_tokens = 0;
  dim reused_tokens = 0;          // of the prompt, that need not be computed again
  dim shifts = 0;                 // how often the context was full
  dim drafted = 0, accepted = 0;  // tokens of the draft
  std::string kv;                 // the codec of keys and values, with its options
  dim kv_bytes = 0;               // of the cache, for prompt and answer
  double prompt_seconds = 0, decode_seconds = 0;
};

// piece: whole UTF-8 characters, never part of a stop string; return false to stop.
using TextSink = std::function<bool(std::string_view piece)>;

// One answer, with a cache as large as it needs. Error(input) when the prompt is empty or longer than the context.
GenerateResult generate(const Model& model, std::span<const Token> prompt, const GenerateOptions& options,
                        const TextSink& sink, const SessionOptions& session = {});

// The tokens that `generate` may need room for.
dim context_for(const Config& config, dim prompt, dim max_tokens, dim context);

}  // namespace pith
