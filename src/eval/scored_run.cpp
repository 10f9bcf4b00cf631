#include "eval/scored_run.h"

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

EvalResult result_of(const Protocol& protocol, std::string_view text, const WindowSet& set, std::span<const double> nll,
                     const RunTotals& totals) {
  EvalResult result;
  result.protocol = protocol.name;
  result.text_hash = sha256_hex(text);
  result.context = set.context;
  result.windows = dim(set.windows.size());
  result.tokens_scored = set.tokens_scored;
  result.tokens_dropped = set.tokens_dropped;
  result.bytes = set.bytes_scored;
  result.conditions = set.conditions;
  result.nll = cluster_mean(nll, scored_sizes(set));
  result.nll_token_error = standard_error(nll);
  result.perplexity = exp_of(result.nll);
  if (set.bytes_scored > 0)
    result.bits_per_byte = scaled(result.nll, double(set.tokens_scored) / double(set.bytes_scored) / std::log(2.0));
  result.seconds = totals.seconds;
  if (totals.seconds > 0) result.tokens_per_second = double(totals.tokens) / totals.seconds;
  return result;
}

void note_codecs(EvalResult& result, const Model& model, const std::optional<KvSpec>& asked,
                 const std::optional<ActSpec>& activations) {
  const Config& config = model.config();
  const KvSpec& kv = asked ? *asked : model.run_time().kv;
  result.kv = kv.text();
  result.kv_bits_per_value = kv.plan(config.head_dim).bits_per_value();
  result.activations = (activations ? *activations : model.run_time().activations).text();
  result.kv_bytes = KvCache::bytes(config, 1, result.context, kv);
}

}  // namespace pith
