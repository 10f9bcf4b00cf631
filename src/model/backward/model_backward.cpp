#include "model/backward/model_backward.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/backward/head.h"
#include "model/block_forward.h"
#include "model/forward_reserve.h"
#include "ops/cross_entropy.h"

namespace pith {

namespace {

constexpr dim kLogitBytes = dim(96) << 20, kLeastLogitRows = 64, kMostLogitRows = 512;

// -ln p of the tokens that follow.
class NextToken final : public TokenLoss {
 public:
  NextToken(std::span<const std::vector<Token>> sequences, dim vocab) : vocab_(vocab) {
    for (const auto& s : sequences) {
      if (s.size() < 2) throw input_error("gradients", "expected sequences of two tokens or more, got {}", s.size());
      for (std::size_t t = 0; t < s.size(); ++t) {
        if (t + 1 < s.size()) places.push_back(dim(next_.size()));
        next_.push_back(t + 1 < s.size() ? s[t + 1] : -1);
      }
    }
  }
  double part(std::span<const dim> at, float* logits) override {
    std::vector<Token> targets;
    for (const dim i : at) targets.push_back(next_[std::size_t(i)]);
    return cross_entropy_backward({.logits = logits,
                                   .n = dim(at.size()),
                                   .vocab = vocab_,
                                   .targets = targets,
                                   .weight = 1 / double(places.size())});
  }
  std::vector<dim> places;

 private:
  dim vocab_;
  std::vector<Token> next_;
};

}  // namespace

struct ModelBackward::Impl {
  const Config& config;
  BlockForward forward;
  BlockBackward block;
  Head head;
  dim kept = 1;
  bool has_positions = false;
  std::vector<Buffer> before;          // each block whose tape is not kept: (rows, hidden)
  std::vector<Buffer> block_gradient;  // of what the loss sees after each block: (rows, hidden)
  Buffer stream, gradient;             // (rows, hidden)
  std::vector<dim> lengths;
  dim rows = 0;

  Impl(const Network& network, dim max_length, dim sequences, dim kept_blocks)
      : config(*network.config),
        forward(network, max_length, sequences),
        block(network, max_length, sequences, std::clamp<dim>(kept_blocks, 1, config.layers)),
        head(network),
        kept(std::clamp<dim>(kept_blocks, 1, config.layers)),
        has_positions(network.pos_embed.weight != nullptr),
        before(std::size_t(config.layers - kept)),
        block_gradient(std::size_t(config.layers)) {}

  // Blocks from here on have a tape of their own.
  dim first_kept() const { return config.layers - kept; }

  // Returns the loss of what is seen between blocks.
  double run_forward(std::span<const std::vector<Token>> sequences, TokenLoss& loss) {
    lengths.clear();
    rows = 0;
    for (const auto& s : sequences) {
      lengths.push_back(dim(s.size()));
      rows += lengths.back();
    }
    const dim values = rows * config.hidden;
    float* x = reserve(stream, values);
    for (dim row = 0; const auto& s : sequences) {
      forward.embed(s, x + row * config.hidden);
      row += dim(s.size());
    }
    double sum = 0;
    for (dim l = 0; l < config.layers; ++l) {
      if (l >= first_kept()) {
        block.forward(l, x, lengths, l - first_kept());
      } else {
        std::copy_n(x, values, reserve(before[std::size_t(l)], values));
        forward.run(l, x, lengths);
      }
      if (!loss.sees_block(l)) continue;
      float* d = reserve(block_gradient[std::size_t(l)], values);
      std::fill_n(d, values, 0.0f);
      sum += loss.block_part(l, x, rows, d);
    }
    return sum;
  }

  // Fills `gradient` by what follows the last block; returns the loss.
  double run_head(std::span<const dim> places, TokenLoss& loss, const OuterGradients& outer) {
    std::fill_n(reserve(gradient, rows * config.hidden), rows * config.hidden, 0.0f);
    const auto most = std::size_t(logit_rows(config));
    double sum = 0;
    const std::size_t pieces = (places.size() + most - 1) / most;
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      const std::size_t at = (loss.last_first() ? pieces - 1 - piece : piece) * most;
      const auto some = places.subspan(at, std::min(most, places.size() - at));
      float* logits = head.logits(stream.as<float>(), some);
      sum += loss.part(some, logits);
      head.backward(logits, gradient.as<float>(), outer.lm_head, outer.output_norm);
    }
    return sum;
  }

  // Returns the loss of what is seen within blocks.
  double run_backward(TokenLoss& loss, const std::function<BlockGradients(dim layer)>& wanted,
                      const std::function<void(dim layer)>& done) {
    double sum = 0;
    for (dim l = config.layers - 1; l >= 0; --l) {
      if (loss.sees_block(l))
        add(gradient.as<float>(), block_gradient[std::size_t(l)].as<float>(), rows * config.hidden);
      const BlockGradients gradients = wanted(l);
      const bool has_tape = l >= first_kept();
      if (!has_tape) block.forward(l, before[std::size_t(l)].as<float>(), lengths, 0);
      AttentionSinks sinks;
      if (loss.sees_scores(l)) sinks.scores = [&](const ScoreRows& rows_of) { sum += loss.scores_part(l, rows_of); };
      if (loss.sees_heads(l)) sinks.heads = [&](const HeadRows& rows_of) { sum += loss.heads_part(l, rows_of); };
      block.backward(gradient.as<float>(), gradients, has_tape ? l - first_kept() : 0, sinks);
      if (done) done(l);
    }
    return sum;
  }

  void embeddings(std::span<const std::vector<Token>> sequences, const OuterGradients& outer) {
    const float* d = gradient.as<float>();
    for (const auto& s : sequences)
      for (std::size_t t = 0; t < s.size(); ++t, d += config.hidden) {
        if (outer.embed)
          add_scaled(outer.embed + dim(s[t]) * config.hidden, d, float(config.embed_scale), config.hidden);
        if (outer.pos_embed && has_positions)
          add(outer.pos_embed + (dim(t) + config.position_offset) * config.hidden, d, config.hidden);
      }
  }
};

ModelBackward::ModelBackward(const Network& network, dim max_length, dim sequences, dim kept_blocks)
    : impl_(std::make_unique<Impl>(network, max_length, sequences, kept_blocks)) {}
ModelBackward::~ModelBackward() = default;

dim ModelBackward::logit_rows(const Config& config) {
  return std::clamp<dim>(kLogitBytes / (config.vocab * dim(sizeof(float))), kLeastLogitRows, kMostLogitRows);
}

dim ModelBackward::working_bytes() const {
  const Impl& i = *impl_;
  dim sum = i.stream.size_bytes() + i.gradient.size_bytes() + i.block.working_bytes();
  for (const Buffer& b : i.before) sum += b.size_bytes();
  for (const Buffer& b : i.block_gradient) sum += b.size_bytes();
  return sum;
}

double ModelBackward::run(std::span<const std::vector<Token>> sequences, const OuterGradients& outer,
                          const std::function<BlockGradients(dim layer)>& wanted,
                          const std::function<void(dim layer)>& done) {
  NextToken loss(sequences, impl_->config.vocab);
  return run(sequences, loss.places, loss, outer, wanted, done);
}

double ModelBackward::run(std::span<const std::vector<Token>> sequences, std::span<const dim> places, TokenLoss& loss,
                          const OuterGradients& outer, const std::function<BlockGradients(dim layer)>& wanted,
                          const std::function<void(dim layer)>& done) {
  Impl& i = *impl_;
  const double between = i.run_forward(sequences, loss);
  double value = between + i.run_head(places, loss, outer);
  value += i.run_backward(loss, wanted, done);
  i.embeddings(sequences, outer);
  return value;
}

}  // namespace pith
