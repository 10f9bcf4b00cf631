#include "compress/turned.h"

#include <algorithm>

#include "compress/policy.h"
#include "core/error.h"
#include "io/printable.h"

namespace pith {

std::vector<std::optional<std::uint64_t>> choose_turns(const Model& model, const Prepared& p) {
  std::vector<std::optional<std::uint64_t>> out(model.tensors().size());
  for (const TensorPlan& plan : p.preflight.tensors) {
    const ModelTensor& t = model.tensors()[plan.source];
    if (!is_linear_matrix(t) || is_dense(*plan.to)) continue;
    const MethodStep& step = p.rounder_of(t);
    if (!step.method->turn) continue;
    if (t.part == Part::inner || model.inner_of(t))
      throw Error(Blame::input, printable(t.name), "expected a matrix that is not factored, to turn it",
                  "round the factors by another method");
    out[plan.source] = step.method->turn(step.options);
  }
  return out;
}

void check_turned_source(const Model& model, const Recipe& recipe) {
  const auto at = std::find_if(model.tensors().begin(), model.tensors().end(),
                               [](const ModelTensor& t) { return t.turn != nullptr; });
  if (at == model.tensors().end()) return;
  const bool changes = recipe.format || recipe.max_bytes || recipe.adapter || !recipe.overrides.empty();
  if (changes)
    throw Error(Blame::input, printable(at->name), "expected a source whose matrices are not turned, to change them",
                "start from the original model");
}

InputStats turned_stats(const InputStats& stats, const Turn& turn) {
  PITH_CHECK(stats.moment && stats.cols == turn.cols());
  InputStats out(stats.cols, false);
  out.tokens = stats.tokens;
  out.moment = stats.moment->turned(turn.input());
  for (dim c = 0; c < stats.cols; ++c) out.squares[std::size_t(c)] = out.moment->at(c, c);
  return out;
}

}  // namespace pith
