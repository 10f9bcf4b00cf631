#include "compress/calibrate/probe.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "ops/scoring.h"

namespace pith {

static constexpr dim kHeldLogitsBytes = dim(512) << 20;

Probe::Probe(const Model& model, const CalibrationTokens& tokens, dim most_tokens) : model_(model) {
  const dim vocab = model.config().vocab;
  const dim most = std::clamp<dim>(kHeldLogitsBytes / (vocab * dim(sizeof(float))), 64, most_tokens);
  for (const auto& sequence : tokens.sequences) {
    if (count_ >= most) break;
    const auto chunk = std::span(sequence).first(std::min(sequence.size(), std::size_t(most - count_)));
    chunks_.push_back(chunk);
    count_ += dim(chunk.size());
    next_.insert(next_.end(), chunk.begin() + 1, chunk.end());
    next_.push_back(-1);
  }
  held_.reserve(count_ * vocab * dim(sizeof(float)));
  run(Network::of(model), [&](dim first, const float* logits, dim rows) {
    std::memcpy(held_.as<float>() + first * vocab, logits, std::size_t(rows * vocab) * sizeof(float));
  });
}

Probe::Result Probe::measure(const Network& network) {
  const dim vocab = model_.config().vocab;
  std::vector<Result> of_token(static_cast<std::size_t>(count_));
  run(network, [&](dim first, const float* logits, dim rows) {
    parallel_for(rows, [&](dim r) {
      const auto at = std::size_t(first + r);
      const RowPair pair{logits + r * vocab, vocab, held_.as<float>() + dim(at) * vocab, vocab};
      const RowDivergence d = compare_rows(pair, std::max<Token>(next_[at], 0));
      of_token[at] = {d.kl, next_[at] < 0 ? 0 : d.nll};
    });
  });
  Result sum;
  for (const Result& r : of_token) {
    sum.kl += r.kl;
    sum.nll += r.nll;
  }
  return {sum.kl / double(count_), sum.nll / double(std::max<dim>(1, count_ - dim(chunks_.size())))};
}

void Probe::run(const Network& network, const Forward::LogitsSink& sink) {
  Forward forward(network);
  dim first = 0;
  for (const auto& tokens : chunks_) {
    KvCache cache(*network.config, 1, dim(tokens.size()));
    const Chunk chunk = {0, tokens, 0};
    forward.run(cache, {&chunk, 1}, [&](dim row, const float* logits, dim rows) { sink(first + row, logits, rows); });
    first += dim(tokens.size());
  }
}

}  // namespace pith
