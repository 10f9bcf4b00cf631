#include "eval/likelihood/continuations.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/logsumexp.h"

namespace pith {
namespace {

// ln p of each use's target, and whether nothing is likelier (or equal, with a lower id).
struct TokenResult {
  double logprob = 0;
  bool greedy = false;
};

TokenResult token_result(const float* logits, float max, double log_sum, Token target) {
  const float own = logits[target];
  const bool greedy = own == max && std::find(logits, logits + target, own) == logits + target;
  return {double(own) - double(max) - log_sum, greedy};
}

void check_continuation(const Continuation& c, dim vocab) {
  PITH_CHECK(c.scored >= 1 && c.scored < dim(c.tokens.size()));
  for (const Token token : c.tokens)
    if (token < 0 || token >= vocab)
      throw input_error("evaluation", "the tokenizer gave token {}, the model has {} rows of logits", token, vocab);
}

// The inputs of a continuation: its last token is only ever a target.
PrefixInput input_of(const Continuation& c) {
  const dim inputs = dim(c.tokens.size()) - 1;
  return {std::span(c.tokens).first(std::size_t(inputs)), inputs - c.scored};
}

}  // namespace

Likelihoods::Likelihoods(const Model& model, const LikelihoodOptions& options)
    : model_(model),
      options_(options),
      kv_(options.kv ? *options.kv : model.run_time().kv),
      network_(model, options.activations, !options.fast),
      forward_(network_.network()) {}

Likelihoods::Scores Likelihoods::score(std::span<const std::vector<Continuation>> documents, const Done& done) {
  Scores scores(documents.size());
  for (std::size_t first = 0; first < documents.size();) {
    std::vector<const Continuation*> batch;
    dim tokens = 0, longest = 1;
    std::size_t last = first;
    for (; last < documents.size(); ++last) {
      dim more = 0, length = longest;
      const Continuation* before = batch.empty() ? nullptr : batch.back();
      for (const Continuation& c : documents[last]) {
        check_continuation(c, model_.config().vocab);
        const dim shared = before ? common_prefix(before->tokens, c.tokens) : 0;
        more += dim(c.tokens.size()) - shared;
        length = std::max(length, dim(c.tokens.size()));
        before = &c;
      }
      const dim slots = dim(batch.size() + documents[last].size());
      if (last > first && (tokens + more > options_.batch_tokens ||
                           KvCache::bytes(model_.config(), slots, length, kv_) > options_.cache_bytes))
        break;
      tokens += more;
      longest = length;
      for (const Continuation& c : documents[last]) batch.push_back(&c);
    }
    const std::vector<ContinuationScore> flat = score_batch(batch);
    auto next = flat.begin();
    for (std::size_t d = first; d < last; ++d) {
      scores[d].assign(next, next + std::ptrdiff_t(documents[d].size()));
      next += std::ptrdiff_t(documents[d].size());
    }
    if (done) done(dim(first), dim(last), scores);
    first = last;
  }
  return scores;
}

std::vector<ContinuationScore> Likelihoods::score_batch(std::span<const Continuation* const> batch) {
  std::vector<ContinuationScore> scores(batch.size(), {0, true});
  if (batch.empty()) return scores;
  std::vector<PrefixInput> inputs;
  for (const Continuation* c : batch) inputs.push_back(input_of(*c));
  run_tree(make_prefix_tree(inputs), inputs, batch, scores);
  return scores;
}

void Likelihoods::run_tree(const PrefixTree& tree, std::span<const PrefixInput> inputs,
                           std::span<const Continuation* const> batch, std::span<ContinuationScore> scores) {
  const dim vocab = model_.config().vocab;
  dim longest = 1;
  for (const PrefixNode& node : tree.nodes) longest = std::max(longest, node.end);
  KvCache cache(model_.config(), tree.slots, longest, kv_);
  tokens_run_ += tree.tokens;
  std::vector<TokenResult> results(tree.uses.size());
  std::size_t use = 0;
  for (std::size_t first = 0; first < tree.nodes.size();) {
    std::size_t last = first;
    std::vector<Chunk> chunks;
    std::vector<std::size_t> uses_from;  // of each row of logits, its first use
    for (; last < tree.nodes.size() && tree.nodes[last].level == tree.nodes[first].level; ++last) {
      const PrefixNode& node = tree.nodes[last];
      if (node.parent >= 0 && tree.nodes[std::size_t(node.parent)].slot != node.slot)
        cache.copy(tree.nodes[std::size_t(node.parent)].slot, node.slot);
      const auto tokens = inputs[std::size_t(node.input)].tokens;
      chunks.push_back({node.slot, tokens.subspan(std::size_t(node.begin), std::size_t(node.end - node.begin)),
                        node.wanted_from - node.begin});
      for (dim p = node.wanted_from; p < node.end; ++p) {
        uses_from.push_back(use);
        while (use < tree.uses.size() && tree.uses[use].node == dim(last) && tree.uses[use].position == p) ++use;
      }
    }
    uses_from.push_back(use);
    forward_.run(cache, chunks, [&](dim first_row, const float* logits, dim rows) {
      parallel_for(rows, [&](dim r) {
        const float* row = logits + r * vocab;
        const float max = scan_row(row, vocab).max;
        const double log_sum = std::log(sum_exp(row, vocab, max));
        for (std::size_t u = uses_from[std::size_t(first_row + r)]; u < uses_from[std::size_t(first_row + r + 1)];
             ++u) {
          const PrefixUse& at = tree.uses[u];
          const Token target = batch[std::size_t(at.input)]->tokens[std::size_t(at.position) + 1];
          results[u] = token_result(row, max, log_sum, target);
        }
      });
    });
    first = last;
  }
  for (std::size_t u = 0; u < tree.uses.size(); ++u) {
    ContinuationScore& score = scores[std::size_t(tree.uses[u].input)];
    score.logprob += results[u].logprob;
    score.greedy = score.greedy && results[u].greedy;
  }
}

}  // namespace pith
