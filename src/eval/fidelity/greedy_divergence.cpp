#include "eval/fidelity/greedy_divergence.h"

#include <algorithm>

#include "core/error.h"
#include "eval/likelihood/greedy_texts.h"

namespace pith {
namespace {

GreedyTexts continuations(const Model& model, std::span<const std::vector<Token>> prompts, dim limit,
                          const LikelihoodOptions& how, Progress& progress) {
  // All go on to the limit, so that both models multiply as many rows at every step: a model never differs from itself.
  const GreedyOptions options{.until = {}, .max_tokens = limit, .ignore_end = true};
  Likelihoods engine(model, how);
  return greedy_texts(engine, prompts, options,
                      [&](dim first, dim last, std::span<GreedyText>) { progress.advance(last - first); });
}

}  // namespace

dim agreed_tokens(std::span<const Token> a, std::span<const Token> b, std::span<const Token> ends, dim limit) {
  const auto most = std::size_t(std::min({limit, dim(a.size()), dim(b.size())}));
  for (std::size_t i = 0; i < most; ++i) {
    if (a[i] != b[i]) return dim(i);
    if (std::find(ends.begin(), ends.end(), a[i]) != ends.end()) return limit;
  }
  return dim(most);
}

GreedyDivergence summarize(std::vector<dim> agreed, dim limit) {
  GreedyDivergence result{.limit = limit, .agreed = std::move(agreed)};
  if (result.agreed.empty()) return result;
  std::vector<double> sorted(result.agreed.begin(), result.agreed.end());
  std::sort(sorted.begin(), sorted.end());
  for (const double n : sorted) result.mean += n / double(sorted.size());
  result.median = quantile_of_sorted(sorted, 0.5);
  result.identical = std::count(result.agreed.begin(), result.agreed.end(), limit);
  return result;
}

GreedyDivergence greedy_divergence(const Model& model, const Model& base, std::span<const std::vector<Token>> prompts,
                                   dim limit, const EvalOptions& options, Progress& progress) {
  for (const Model* m : {&model, &base})
    for (const auto& prompt : prompts)
      if (m->config().context > 0 && dim(prompt.size()) + limit > m->config().context)
        throw input_error("fidelity", "expected prompts and continuations within the context of {}, got {} and {}",
                          m->config().context, prompt.size(), limit);
  progress.begin("continuations", 2 * dim(prompts.size()));
  const GreedyTexts original = continuations(base, prompts, limit, {.kv = KvSpec()}, progress);
  const ActPlan* act = options.activations ? &options.activations->plan() : nullptr;
  const GreedyTexts own =
      continuations(model, prompts, limit, {.kv = options.kv, .activations = act, .fast = options.fast}, progress);
  progress.end();
  const std::vector<Token> ends = base.tokenizer().end_tokens();
  std::vector<dim> agreed;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    agreed.push_back(agreed_tokens(original[i].tokens, own[i].tokens, ends, limit));
  return summarize(std::move(agreed), limit);
}

std::vector<std::vector<Token>> pieces_of_text(const Tokenizer& tokenizer, std::string_view text, dim count,
                                               dim length) {
  const std::vector<Token> tokens = tokenizer.encode(text, false, false);
  const Token bos = tokenizer.adds_bos() ? tokenizer.bos() : -1;
  const dim own = length - (bos >= 0 ? 1 : 0), all = dim(tokens.size());
  if (own < 1 || all < own) throw input_error("fidelity", "expected a text of at least {} tokens, got {}", length, all);
  count = std::min(count, all / own);
  std::vector<std::vector<Token>> pieces;
  for (dim i = 0; i < count; ++i) {
    const auto start = tokens.begin() + std::ptrdiff_t(count > 1 ? i * (all - own) / (count - 1) : 0);
    auto& piece = pieces.emplace_back();
    if (bos >= 0) piece.push_back(bos);
    piece.insert(piece.end(), start, start + std::ptrdiff_t(own));
  }
  return pieces;
}

}  // namespace pith
