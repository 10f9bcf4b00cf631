// Perplexity under named protocols, and divergence of a model from its original on the same tokens.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/progress.h"
#include "eval/protocols.h"
#include "eval/statistics.h"
#include "model/model.h"
#include "ops/act/act_codec.h"
#include "ops/kv/kv_codec.h"

namespace pith {

struct EvalOptions {
  std::string_view protocol = "llamacpp-512";
  dim max_windows = 0;  // 0: all
  dim batch_tokens = 2048;
  dim context = 0, stride = 0;  // in place of the protocol's; see WindowOptions
  // How the model's keys and values are stored; a base keeps them in f32. A query reads its own and earlier positions
  // from the cache as it would when generating token by token (KvSide), so a codec's error is in every scored token.
  std::optional<KvSpec> kv = {};            // how keys and values are stored; else as the model says
  std::optional<ActSpec> activations = {};  // how the model's linear layers round their inputs; else as it says
  bool fast = false;                        // the model's products as FastNetwork makes them; a base's never are
  WindowOptions windows() const { return {context, stride, max_windows}; }
};

// Sums over the scored tokens of one window: what paired tests resample.
struct WindowScore {
  dim tokens = 0;
  double nll = 0;  // nats
};
// Over the scored tokens whose place in their window is in [from, from + span), all windows together.
struct PositionScore {
  dim from = 0, span = 0, tokens = 0;
  double nll = 0;  // nats per token
};

struct EvalResult {
  std::string protocol;
  std::string text_hash;  // sha256 of the text as given
  dim context = 0, windows = 0, tokens_scored = 0, tokens_dropped = 0;
  dim bytes = 0, words = 0;  // of the text that the scored tokens stand for
  std::string kv = "f32";    // the codec of keys and values, with its options
  double kv_bits_per_value = 32;
  std::string activations = "f32";  // the codec of the inputs of linear layers
  dim kv_bytes = 0;                 // of the cache of one sequence of `context` tokens
  std::string conditions;           // in words: context, BOS, windows, scored positions, dropped tail
  Interval nll;                     // nats per token
  double nll_token_error = 0;       // standard error of nll as if tokens were independent: what llama-perplexity prints
  Interval perplexity;              // exp(nll)
  Interval word_perplexity;         // exp(nll * tokens / words)
  Interval byte_perplexity;         // exp(nll * tokens / bytes)
  Interval bits_per_byte;
  double seconds = 0;
  double tokens_per_second = 0;  // tokens run through the model
  std::vector<WindowScore> by_window;
  std::vector<PositionScore> by_position;  // at most 32 stretches of one length
};

// Against a base model with the same vocabulary, in fp32 on the full distribution, side by side.
struct Divergence {
  Interval kl;  // KL(base || model), nats per token
  double kl_median = 0, kl_p90 = 0, kl_p95 = 0, kl_p99 = 0, kl_p999 = 0, kl_max = 0;
  Interval top1_agreement;  // share of positions with the same most likely token
  Interval top5_overlap;    // of the 5 likeliest tokens of either, the share that both have; and of the 10
  Interval top10_overlap;
  Interval rms_delta_p;              // root mean square of the change in the probability of the correct token
  Interval log_ppl_ratio;            // ln(ppl / ppl of the base), paired
  std::vector<double> kl_by_window;  // sums over the scored tokens of each
  EvalResult base;
};

// Error(input) when the text is shorter than a window, the model's context shorter than the protocol's, or
// a logit is not finite (it names window and position). Same numbers for any number of threads.
EvalResult evaluate(const Model& model, std::string_view text, const EvalOptions& options,
                    Progress& progress = no_progress());

// Both models are run window by window on the same tokens. Vocabularies may differ by padding rows (the
// distributions are compared on the rows both have); tokenizers that disagree on this text are an
// Error(input). A model compared with itself diverges by exactly 0. `kept`: what the base says is remembered for the
// next comparison; results are the same.
struct Comparison {
  EvalResult model;
  Divergence divergence;
};
class KeptBase;  // eval/kept_base.h
Comparison compare(const Model& model, const Model& base, std::string_view text, const EvalOptions& options,
                   Progress& progress = no_progress(), KeptBase* kept = nullptr);

}  // namespace pith
