// Log-likelihoods of continuations: what follows a context is scored from the context's keys and values, and contexts
// that begin alike are run once.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "eval/likelihood/prefix_tree.h"
#include "model/fast_network.h"

namespace pith {

// Context and continuation; the last `scored` tokens are the continuation. At least one token of context.
struct Continuation {
  std::vector<Token> tokens;
  dim scored = 0;
};

struct ContinuationScore {
  double logprob = 0;   // sum of ln p(token | all before) over the continuation
  bool greedy = false;  // each of its tokens was the likeliest, the lowest id among equals
};

struct LikelihoodOptions {
  dim batch_tokens = 2048;               // run together, about
  dim cache_bytes = dim(1) << 30;        // of the keys and values of a batch, where one continuation needs no more
  std::optional<KvSpec> kv = {};         // how they are stored; else as the model says
  const ActPlan* activations = nullptr;  // how linear layers round their inputs; null: as the model says
  bool fast = false;                     // products as FastNetwork makes them
};

class Likelihoods {
 public:
  Likelihoods(const Model& model, const LikelihoodOptions& options);

  // Continuations of one document each: documents stay together in a batch. done(first, last, scores): those documents'
  // scores are there now. Error(input) for tokens without a row of logits, or not finite ones.
  using Scores = std::vector<std::vector<ContinuationScore>>;
  using Done = std::function<void(dim first, dim last, std::span<const std::vector<ContinuationScore>> scores)>;
  Scores score(std::span<const std::vector<Continuation>> documents, const Done& done = {});
  dim tokens_run() const { return tokens_run_; }
  void count(std::span<const Chunk> chunks) {
    for (const Chunk& chunk : chunks) tokens_run_ += dim(chunk.tokens.size());
  }
  const Model& model() const { return model_; }
  Forward& forward() { return forward_; }  // its runs are to be counted
  const KvSpec& kv() const { return kv_; }
  const LikelihoodOptions& options() const { return options_; }

 private:
  std::vector<ContinuationScore> score_batch(std::span<const Continuation* const> batch);
  void run_tree(const PrefixTree& tree, std::span<const PrefixInput> inputs, std::span<const Continuation* const> batch,
                std::span<ContinuationScore> scores);

  const Model& model_;
  LikelihoodOptions options_;
  KvSpec kv_;
  FastNetwork network_;
  Forward forward_;
  dim tokens_run_ = 0;
};

}  // namespace pith
