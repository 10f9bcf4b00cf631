// Text from a model, token by token.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/forward.h"
#include "model/sampler.h"

namespace pith {

struct GenerateOptions {
  dim max_tokens = 128;
  dim context = 0;  // tokens of prompt and answer together; 0: as many as needed, up to the model's own limit
  std::optional<KvSpec> kv = {};            // how keys and values are stored; else as the model says
  std::optional<ActSpec> activations = {};  // how linear layers round their inputs; else as the model says
  SamplerOptions sampler = {};
  std::vector<Token> stop_tokens = {};  // besides the tokenizer's end tokens
  bool ignore_end = false;              // end tokens do not stop
  std::vector<std::string> stop_strings = {};
};

enum class StopReason { max_tokens, context_full, stop_token, stop_string, callback };

struct GenerateResult {
  std::vector<Token> tokens;  // generated, without the one that stopped
  std::string text;           // all that was streamed
  StopReason reason = StopReason::max_tokens;
  dim prompt_tokens = 0;
  std::string kv;    // the codec of keys and values, with its options
  dim kv_bytes = 0;  // of the cache, for prompt and answer
  double prompt_seconds = 0, decode_seconds = 0;
};

// piece: whole UTF-8 characters, never part of a stop string; return false to stop.
using TextSink = std::function<bool(std::string_view piece)>;

// Error(input) when the prompt is empty or longer than the context.
GenerateResult generate(const Model& model, std::span<const Token> prompt, const GenerateOptions& options,
                        const TextSink& sink);

// Holds text back until its characters are whole and it cannot be the beginning of a stop string.
class TextStream {
 public:
  explicit TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  // What may be shown now. Once a stop string is complete `stopped` is true, and what follows it is dropped.
  std::string push(std::string_view bytes);
  std::string finish();  // the rest; bytes that never became a character are U+FFFD
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace pith
