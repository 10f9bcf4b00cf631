#include "synth/models/contrast.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "model/sampler.h"
#include "ops/logsumexp.h"
#include "serve/answer.h"

namespace pith::synth {

namespace {

constexpr dim kSteadyRows = 8;  // from so many rows on, products in f32 give a row the same bits however many there are
constexpr float kNever = -1e30f;  // finite, as samplers want it, and no probability at all

struct Pair {
  const Contrasted& from;
  Answer answer;
  Sampler sampler;
  std::vector<Token> text;     // prompt and answer
  std::vector<Token> against;  // its prompt and the answer
  bool full(dim limit) const { return dim(std::max(text.size(), against.size())) >= limit; }
};

double log_sum_of(std::span<const float> logits) {
  const float max = scan_row(logits.data(), dim(logits.size())).max;
  return double(max) + std::log(sum_exp(logits.data(), dim(logits.size()), max));
}

class Batch {
 public:
  Batch(const Network& network, const KvSpec& kv, dim limit, std::vector<Pair>& pairs, dim capacity)
      : vocab_(network.config->vocab),
        limit_(limit),
        pairs_(pairs),
        forward_(network),
        cache_(*network.config, 2 * dim(pairs.size()) + 1, capacity, kv) {}

  void run() {
    for (std::size_t i = 0; i < pairs_.size(); ++i) live_.push_back(i);
    while (!live_.empty()) {
      step();
      std::erase_if(live_, [&](std::size_t i) { return pairs_[i].answer.ended; });
    }
  }

 private:
  // The next token of every pair that goes on.
  void step() {
    std::vector<Chunk> chunks;
    for (const std::size_t i : live_)
      for (const dim half : {0, 1}) {
        const dim sequence = 2 * dim(i) + half;
        const std::vector<Token>& text = half == 0 ? pairs_[i].text : pairs_[i].against;
        const auto rest = std::span(text).subspan(std::size_t(cache_.length(sequence)));
        chunks.push_back({sequence, rest, dim(rest.size()) - 1});
      }
    const dim wanted = dim(chunks.size());
    if (wanted < kSteadyRows) {
      padding_.assign(std::size_t(kSteadyRows - wanted), 0);
      chunks.push_back({2 * dim(pairs_.size()), padding_, 0});
    }
    rows_.resize(std::size_t(wanted * vocab_));
    forward_.run(cache_, chunks, [&](dim first, const float* logits, dim rows) {
      const dim useful = std::min(rows, wanted - first);
      if (useful > 0) std::copy_n(logits, useful * vocab_, rows_.data() + first * vocab_);
    });
    cache_.truncate(2 * dim(pairs_.size()), 0);
    for (std::size_t k = 0; k < live_.size(); ++k) take(pairs_[live_[k]], rows_.data() + 2 * dim(k) * vocab_);
  }

  void take(Pair& pair, float* rows) const {
    const std::span<float> said(rows, std::size_t(vocab_)), against(rows + vocab_, std::size_t(vocab_));
    contrast_logits(said, pair.from.weight, pair.from.plausible, against);
    const Token next = pair.sampler.sample(against, pair.text);
    const auto nobody = [](std::string_view) { return true; };
    pair.text.push_back(next);
    pair.against.push_back(next);
    if (!pair.answer.add(next, {}, nobody))
      pair.answer.finish(pair.answer.reason, nobody);
    else if (pair.full(limit_))
      pair.answer.finish(StopReason::context_full, nobody);
  }

  const dim vocab_, limit_;
  std::vector<Pair>& pairs_;
  Forward forward_;
  KvCache cache_;
  std::vector<std::size_t> live_;
  std::vector<Token> padding_;
  std::vector<float> rows_;
};

}  // namespace

void contrast_logits(std::span<const float> logits, double weight, double plausible, std::span<float> against) {
  const double p_sum = log_sum_of(logits), q_sum = log_sum_of(against);
  const double max = double(*std::max_element(logits.begin(), logits.end())) - p_sum;
  const double least = plausible > 0 ? max + std::log(plausible) : -HUGE_VAL;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const double p = double(logits[v]) - p_sum, q = double(against[v]) - q_sum;
    against[v] = p >= least ? float(p + weight * (p - q)) : kNever;
  }
}

std::vector<Reply> contrast_answers(const Network& network, const KvSpec& kv, const Tokenizer& tokenizer, dim limit,
                                    std::span<const Contrasted> given) {
  std::vector<Pair> pairs;
  pairs.reserve(given.size());
  dim capacity = kSteadyRows;
  for (const Contrasted& c : given) {
    PITH_CHECK(!c.prompt.empty() && !c.against.empty());
    pairs.push_back({c, Answer(tokenizer, c.options), Sampler(c.options.sampler), c.prompt, c.against});
    const dim longest = dim(std::max(c.prompt.size(), c.against.size()));
    capacity = std::max(capacity, std::min(limit, longest + c.options.max_tokens));
  }
  Batch(network, kv, limit, pairs, capacity).run();
  std::vector<Reply> replies;
  for (const Pair& pair : pairs)
    replies.push_back({pair.answer.text, dim(pair.answer.tokens.size()),
                       pair.answer.reason == StopReason::stop_token ? ReplyEnd::stop : ReplyEnd::length});
  return replies;
}

}  // namespace pith::synth
