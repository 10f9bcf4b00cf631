// Perplexity under named protocols, and divergence of a model from its original on the same tokens.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/progress.h"
#include "model/model.h"

namespace pith {

// How a text becomes windows and which positions count. All windows are disjoint; a tail shorter than a
// window is dropped and its tokens are counted as dropped.
struct Protocol {
  std::string_view name;     // "gptq-2048"
  std::string_view summary;
  dim context;               // tokens per window, BOS included where one is added to each
  bool bos_per_window;       // the first token of each window is (replaced by) BOS
  bool join_rows;            // rows of the text are joined by two newlines first
  bool second_half_only;     // llama-perplexity: only predictions in the second half count
  bool per_byte;             // reports bits per byte instead of perplexity per token
};
std::span<const Protocol> all_protocols();  // gptq-2048, llamacpp-512, bpb, stories-256, ...
const Protocol& protocol_or_throw(std::string_view name);

struct Interval {  // mean and half-width of its 95 % confidence interval
  double mean = 0;
  double half_width = 0;
};

struct EvalOptions {
  std::string_view protocol = "llamacpp-512";
  dim max_windows = 0;  // 0: all
  dim batch_tokens = 2048;
};

struct EvalResult {
  std::string protocol;
  std::string text_hash;  // sha256
  dim context = 0, windows = 0, tokens_scored = 0, tokens_dropped = 0, bytes = 0;
  std::string bos;  // what was done about BOS, in words
  Interval nll;     // nats per token (or per byte)
  Interval perplexity;
  Interval bits_per_byte;
  double seconds = 0;
  double tokens_per_second = 0;  // tokens run through the model
  dim non_finite = 0;
};

// Against a base model with the same vocabulary, in fp32 on the full distribution, side by side.
struct Divergence {
  Interval kl;             // KL(base || model), nats per token
  double kl_median = 0, kl_p90 = 0, kl_p99 = 0, kl_max = 0;
  Interval top1_agreement;  // share of positions with the same most likely token
  Interval rms_delta_p;     // root mean square of the change in the probability of the correct token
  Interval log_ppl_ratio;   // ln(ppl / ppl of the base), paired
  EvalResult base;
};

EvalResult evaluate(const Model& model, std::string_view text, const EvalOptions& options, Progress& progress = no_progress());
// Both models are run window by window on the same tokens.
struct Comparison {
  EvalResult model;
  Divergence divergence;
};
Comparison compare(const Model& model, const Model& base, std::string_view text, const EvalOptions& options,
                   Progress& progress = no_progress());

}  // namespace pith
