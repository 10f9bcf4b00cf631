#include "model/backward/model_backward.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/block_forward.h"
#include "model/forward_reserve.h"
#include "ops/cross_entropy.h"
#include "ops/linear_backward.h"
#include "ops/norm_backward.h"

namespace pith {

namespace {

constexpr dim kHeadRows = 64;  // of logits at once

}  // namespace

struct ModelBackward::Impl {
  Network net;
  const Config& config;
  BlockForward forward;
  BlockBackward block;
  std::vector<Buffer> before;  // each block, and after the last: (rows, hidden)
  Buffer gradient, picked, normed, dnormed, dpicked, logits;
  LinearWorkspace linear_workspace;
  LinearBackwardWorkspace linear_backward_workspace;
  std::vector<NormScale> norm_scratch;
  std::vector<dim> lengths;
  dim rows = 0;

  Impl(const Network& network, dim max_length, dim sequences)
      : net(network),
        config(*network.config),
        forward(network, max_length, sequences),
        block(network, max_length, sequences),
        before(std::size_t(config.layers + 1)) {}

  float* stream(dim layer) { return reserve(before[std::size_t(layer)], rows * config.hidden); }

  void run_forward(std::span<const std::vector<Token>> sequences) {
    lengths.clear();
    rows = 0;
    for (const auto& s : sequences) {
      if (s.size() < 2) throw input_error("gradients", "expected sequences of two tokens or more, got {}", s.size());
      lengths.push_back(dim(s.size()));
      rows += lengths.back();
    }
    float* x = stream(0);
    for (const auto& s : sequences) {
      forward.embed(s, x);
      x += dim(s.size()) * config.hidden;
    }
    for (dim l = 0; l < config.layers; ++l) {
      std::copy_n(stream(l), rows * config.hidden, stream(l + 1));
      forward.run(l, stream(l + 1), lengths);
    }
  }

  // Fills `gradient` by what follows the last block; returns the loss.
  double head(std::span<const std::vector<Token>> sequences, const OuterGradients& outer) {
    std::fill_n(reserve(gradient, rows * config.hidden), rows * config.hidden, 0.0f);
    std::vector<dim> from;
    std::vector<Token> targets;
    dim first = 0;
    for (const auto& s : sequences) {
      for (std::size_t t = 0; t + 1 < s.size(); ++t) {
        from.push_back(first + dim(t));
        targets.push_back(s[t + 1]);
      }
      first += dim(s.size());
    }
    double loss = 0;
    for (std::size_t at = 0; at < from.size(); at += std::size_t(kHeadRows)) {
      const std::size_t count = std::min(std::size_t(kHeadRows), from.size() - at);
      loss += head_rows(std::span(from).subspan(at, count), std::span(targets).subspan(at, count),
                        1 / double(from.size()), outer);
    }
    return loss;
  }

  double head_rows(std::span<const dim> from, std::span<const Token> targets, double weight,
                   const OuterGradients& outer) {
    const dim n = dim(from.size()), hidden = config.hidden, vocab = config.vocab;
    float *x = reserve(picked, n * hidden), *y = reserve(normed, n * hidden), *dy = reserve(dnormed, n * hidden),
          *dx = reserve(dpicked, n * hidden), *z = reserve(logits, n * vocab);
    for (dim i = 0; i < n; ++i)
      std::copy_n(stream(config.layers) + from[std::size_t(i)] * hidden, hidden, x + i * hidden);
    const Norm& norm = net.output_norm;
    const bool layer_norm = config.norm == NormKind::layer;
    if (norm.weight) {
      const bool finite = norm_rows({.x = x,
                                     .n = n,
                                     .cols = hidden,
                                     .stride = hidden,
                                     .weight = norm.weight,
                                     .bias = norm.bias,
                                     .layer_norm = layer_norm,
                                     .plus_one = config.norm_plus_one,
                                     .eps = config.norm_eps,
                                     .out = y,
                                     .out_stride = hidden});
      if (!finite) throw input_error("gradients", "expected finite activations, got others after the last block");
    } else {
      std::copy_n(x, n * hidden, y);
    }
    linear({net.lm_head.weight, net.lm_head.bias, y, n, z, vocab}, linear_workspace);
    if (config.logit_scale != 1) multiply(z, float(config.logit_scale), n * vocab);
    if (config.logit_softcap > 0) soft_cap(z, float(config.logit_softcap), n * vocab);
    if (!all_finite(z, n * vocab)) throw input_error("gradients", "expected finite logits, got others from lm_head");
    const double loss = cross_entropy_backward({.logits = z,
                                                .n = n,
                                                .vocab = vocab,
                                                .targets = targets,
                                                .multiplier = float(config.logit_scale),
                                                .cap = float(config.logit_softcap),
                                                .weight = weight});
    linear_backward({.weight = net.lm_head.weight, .x = y, .dy = z, .n = n, .dx = dy, .dweight = outer.lm_head},
                    linear_backward_workspace);
    if (norm.weight)
      norm_rows_backward({.x = x,
                          .n = n,
                          .cols = hidden,
                          .weight = norm.weight,
                          .layer_norm = layer_norm,
                          .plus_one = config.norm_plus_one,
                          .eps = config.norm_eps,
                          .dy = dy,
                          .dx = dx,
                          .dweight = outer.output_norm.weight,
                          .dbias = norm.bias ? outer.output_norm.bias : nullptr},
                         norm_scratch);
    const float* d = norm.weight ? dx : dy;
    for (dim i = 0; i < n; ++i)
      std::copy_n(d + i * hidden, hidden, gradient.as<float>() + from[std::size_t(i)] * hidden);
    return loss;
  }

  void embeddings(std::span<const std::vector<Token>> sequences, const OuterGradients& outer) {
    const float* d = gradient.as<float>();
    for (const auto& s : sequences)
      for (std::size_t t = 0; t < s.size(); ++t, d += config.hidden) {
        if (outer.embed)
          add_scaled(outer.embed + dim(s[t]) * config.hidden, d, float(config.embed_scale), config.hidden);
        if (outer.pos_embed && net.pos_embed.weight)
          add(outer.pos_embed + (dim(t) + config.position_offset) * config.hidden, d, config.hidden);
      }
  }
};

ModelBackward::ModelBackward(const Network& network, dim max_length, dim sequences)
    : impl_(std::make_unique<Impl>(network, max_length, sequences)) {}
ModelBackward::~ModelBackward() = default;

double ModelBackward::run(std::span<const std::vector<Token>> sequences, const OuterGradients& outer,
                          const std::function<BlockGradients(dim layer)>& wanted,
                          const std::function<void(dim layer)>& done) {
  Impl& i = *impl_;
  i.run_forward(sequences);
  const double loss = i.head(sequences, outer);
  for (dim l = i.config.layers - 1; l >= 0; --l) {
    const BlockGradients gradients = wanted(l);
    i.block.forward(l, i.stream(l), i.lengths);
    i.block.backward(i.gradient.as<float>(), gradients);
    done(l);
  }
  i.embeddings(sequences, outer);
  return loss;
}

}  // namespace pith
