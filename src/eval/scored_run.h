// The parts that evaluate() and compare() share.
#pragma once
#include <span>
#include <string_view>

#include "core/stopwatch.h"
#include "eval/perplexity.h"
#include "eval/window_runner.h"

namespace pith {

// Error(input) when a token to be predicted has no row in the head.
void check_targets(std::span<const Token> targets, dim vocab);
[[noreturn]] void throw_not_finite(const WindowSet& set, dim row, std::string_view whose);

struct RunTotals {
  double seconds = 0;
  dim tokens = 0;
};
// nll: of every scored row, in order.
EvalResult result_of(std::string_view text, const WindowSet& set, std::span<const double> nll, const RunTotals& totals);

std::vector<double> window_sums(std::span<const double> values, std::span<const dim> sizes);

// What the result says of how keys, values and inputs were rounded.
void note_codecs(EvalResult& result, const Model& model, const std::optional<KvSpec>& kv,
                 const std::optional<ActSpec>& activations);
inline const ActPlan* plan_of(const EvalOptions& options) {
  return options.activations ? &options.activations->plan() : nullptr;
}

}  // namespace pith
