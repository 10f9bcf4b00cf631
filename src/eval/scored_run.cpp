#include "eval/scored_run.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "io/sha256.h"

namespace pith {

void check_targets(std::span<const Token> targets, dim vocab) {
  for (const Token token : targets)
    if (token < 0 || token >= vocab)
      throw input_error("evaluation", "the tokenizer gave token {}, the model has {} rows of logits", token, vocab);
}

void throw_not_finite(const WindowSet& set, dim row, std::string_view whose) {
  const RowPlace place = place_of_row(set, row);
  throw input_error("evaluation", "expected finite logits of {}, got NaN or infinity at window {}, position {}", whose,
                    place.window, place.position);
}

static void add_parts(EvalResult& result, const WindowSet& set, std::span<const double> nll) {
  constexpr dim kMost = 32;
  const dim span = std::max<dim>(1, (set.context + kMost - 1) / kMost);
  std::vector<PositionScore> stretches(static_cast<std::size_t>((set.context + span - 1) / span));
  std::size_t at = 0;
  for (const Window& window : set.windows) {
    WindowScore sum{.tokens = window.scored()};
    for (dim i = 0; i < sum.tokens; ++i, ++at) {
      sum.nll += nll[at];
      PositionScore& stretch = stretches[std::size_t((window.first_scored + i) / span)];
      ++stretch.tokens;
      stretch.nll += nll[at];
    }
    result.by_window.push_back(sum);
  }
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    PositionScore& s = stretches[i];
    if (s.tokens == 0) continue;
    result.by_position.push_back({dim(i) * span, span, s.tokens, s.nll / double(s.tokens)});
  }
}

std::vector<double> window_sums(std::span<const double> values, std::span<const dim> sizes) {
  std::vector<double> sums;
  std::size_t at = 0;
  for (const dim size : sizes) {
    double sum = 0;
    for (dim i = 0; i < size; ++i) sum += values[at++];
    sums.push_back(sum);
  }
  return sums;
}

EvalResult result_of(std::string_view text, const WindowSet& set, std::span<const double> nll,
                     const RunTotals& totals) {
  EvalResult result;
  result.protocol = set.protocol;
  result.text_hash = sha256_hex(text);
  result.context = set.context;
  result.windows = dim(set.windows.size());
  result.tokens_scored = set.tokens_scored;
  result.tokens_dropped = set.tokens_dropped;
  result.bytes = set.bytes_scored;
  result.words = set.words_scored;
  result.conditions = set.conditions;
  result.nll = cluster_mean(nll, scored_sizes(set));
  result.nll_token_error = standard_error(nll);
  result.perplexity = exp_of(result.nll);
  const auto per = [&](dim count) { return scaled(result.nll, double(set.tokens_scored) / double(count)); };
  if (set.words_scored > 0) result.word_perplexity = exp_of(per(set.words_scored));
  if (set.bytes_scored > 0) {
    result.byte_perplexity = exp_of(per(set.bytes_scored));
    result.bits_per_byte = scaled(per(set.bytes_scored), 1 / std::log(2.0));
  }
  add_parts(result, set, nll);
  result.seconds = totals.seconds;
  if (totals.seconds > 0) result.tokens_per_second = double(totals.tokens) / totals.seconds;
  return result;
}

void note_codecs(EvalResult& result, const Model& model, const std::optional<KvSpec>& asked,
                 const std::optional<ActSpec>& activations) {
  const Config& config = model.config();
  const KvSpec& kv = asked ? *asked : model.run_time().kv;
  result.kv = kv.text();
  result.kv_bits_per_value = KvCache::bits_per_value(config, kv);
  result.activations = (activations ? *activations : model.run_time().activations).text();
  result.kv_bytes = KvCache::bytes(config, 1, result.context, kv);
}

}  // namespace pith
