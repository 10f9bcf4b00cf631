#include "model/forward_layers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/forward_rope.h"
#include "ops/embed.h"
#include "ops/gate.h"
#include "ops/norm.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kPieceBytes = dim(256) << 20;  // all activations of one piece
constexpr dim kMostRows = 4096, kLeastRows = 128;

float* reserve(Buffer& buffer, dim values) {
  buffer.reserve(values * dim(sizeof(float)));
  return buffer.as<float>();
}

dim rows_that_fit(const Config& c, dim q_width, dim kv_width) {
  const dim per_row = dim(sizeof(float)) * (4 * c.hidden + 2 * q_width + 2 * kv_width + 2 * c.ffn);
  return std::clamp(kPieceBytes / per_row, kLeastRows, kMostRows);
}

ActivationKernel kernel_of(Activation a) {
  switch (a) {
    case Activation::silu:
      return ActivationKernel::silu;
    case Activation::gelu_tanh:
      return ActivationKernel::gelu_tanh;
    case Activation::gelu_erf:
      return ActivationKernel::gelu_erf;
    case Activation::relu:
      return ActivationKernel::relu;
  }
  return ActivationKernel::silu;
}

}  // namespace

struct Layers::Pass {
  KvCache& cache;
  const Piece& piece;
  LinearObserver* observer;
  dim rows = 0;          // of the residual stream: all, or the wanted ones once the last layer dropped the others
  bool compact = false;  // the others were dropped
};

Layers::Layers(const Network& network)
    : net_(network),
      config_(*network.config),
      q_width_(config_.heads * config_.head_dim),
      kv_width_(config_.kv_heads * config_.head_dim),
      max_rows_(rows_that_fit(config_, q_width_, kv_width_)) {}

dim Layers::workspace_bytes() const {
  dim sum = linear_.size_bytes() + attention_.size_bytes() + rope_.size_bytes() + sliding_rope_.size_bytes();
  for (const Buffer* b : {&x_, &normed_, &normed_ffn_, &q_, &k_, &v_, &attended_, &branch_, &gate_, &up_, &active_})
    sum += b->size_bytes();
  return sum;
}

bool Layers::slides(dim layer) const {
  return config_.sliding_window > 0 && !(config_.sliding_pattern > 0 && (layer + 1) % config_.sliding_pattern == 0);
}

const RopeTable& Layers::rope_of(dim layer) const {
  return slides(layer) && config_.rope_base_sliding > 0 ? sliding_rope_ : rope_;
}

void Layers::multiply(const Product& p, dim layer, LinearObserver* observer) {
  const Weight& w = *p.linear->weight;
  if (observer) observer->linear_input(p.role, layer, p.x, p.n, weight_cols(w));
  const dim stride = p.y_stride > 0 ? p.y_stride : weight_rows(w);
  linear({&w, p.linear->bias, p.x, p.n, p.y, stride, p.add}, linear_);
}

void Layers::normalize(const Norm& norm, const float* x, dim n, float* out, dim layer, const char* where) {
  const dim width = config_.hidden;
  bool finite = true;
  if (norm.weight) {
    finite = norm_rows({.x = x,
                        .n = n,
                        .cols = width,
                        .stride = width,
                        .weight = norm.weight,
                        .bias = norm.bias,
                        .layer_norm = config_.norm == NormKind::layer,
                        .plus_one = config_.norm_plus_one,
                        .eps = config_.norm_eps,
                        .out = out,
                        .out_stride = width});
  } else {
    finite = all_finite(x, n * width);
    if (out != x) std::memcpy(out, x, std::size_t(n * width) * sizeof(float));
  }
  if (!finite)
    throw Error(Blame::input, "forward",
                fmt::format("expected finite activations, got others {} layer {}", where, layer),
                "a weight there is damaged, or values overflow");
}

void Layers::embed(const Piece& piece) {
  float* x = reserve(x_, piece.rows() * config_.hidden);
  embed_rows(*net_.embed.weight, piece.ids, float(config_.embed_scale), x, nullptr, false);
  if (!net_.pos_embed.weight) return;
  const dim known = weight_rows(*net_.pos_embed.weight);
  for (const dim p : piece.positions)
    if (p >= known) throw input_error("context", "expected at most {} tokens in a sequence, got {}", known, p + 1);
  embed_rows(*net_.pos_embed.weight, piece.positions, 1, x, reserve(normed_, piece.rows() * config_.hidden), true);
}

void Layers::fill_ropes(const KvCache& cache, const Piece& piece) {
  if (!config_.rope.on) return;
  const RopeChoice choice = rope_choice(config_, false, cache.capacity());
  rope_.fill(rope_frequencies(choice, cache.capacity()), choice.magnitude, piece.positions);
  if (config_.sliding_window > 0 && config_.rope_base_sliding > 0) {
    const RopeChoice sliding = rope_choice(config_, true, cache.capacity());
    sliding_rope_.fill(rope_frequencies(sliding, cache.capacity()), sliding.magnitude, piece.positions);
  }
}

float* Layers::run(KvCache& cache, const Piece& piece, LinearObserver* observer) {
  embed(piece);
  fill_ropes(cache, piece);
  Pass pass = {cache, piece, observer, piece.rows(), false};
  for (dim l = 0; l < config_.layers; ++l) layer(pass, l);
  return x_.as<float>();
}

void Layers::layer(Pass& pass, dim l) {
  const Block& b = net_.blocks[std::size_t(l)];
  float* normed = reserve(normed_, pass.rows * config_.hidden);
  normalize(b.attn_norm, x_.as<float>(), pass.rows, normed, l, "before");
  const float* ffn_input = normed;
  if (config_.parallel_block && b.ffn_norm.weight) {
    float* own = reserve(normed_ffn_, pass.rows * config_.hidden);
    normalize(b.ffn_norm, x_.as<float>(), pass.rows, own, l, "before");
    ffn_input = own;
  }
  const float* q = attention_inputs(pass, l, normed);
  if (pass.rows == 0) return;
  attend(pass, l, q);
  add_to_residual(pass, l, b.o, Role::attn_o, attended_.as<float>(), b.attn_post_norm);
  if (!config_.parallel_block) normalize(b.ffn_norm, x_.as<float>(), pass.rows, normed, l, "after the attention of");
  feed_forward(pass, l, ffn_input);
}

// Only the wanted rows go on after the last layer's keys and values.
void Layers::keep_wanted(Pass& pass, float* rows, dim width) {
  for (std::size_t i = 0; i < pass.piece.wanted.size(); ++i)
    if (pass.piece.wanted[i] != dim(i))
      std::memmove(rows + dim(i) * width, rows + pass.piece.wanted[i] * width, std::size_t(width) * sizeof(float));
}

// Stores this layer's keys and values; returns the queries, turned, (pass.rows, q_width).
const float* Layers::attention_inputs(Pass& pass, dim l, const float* normed) {
  const Block& b = net_.blocks[std::size_t(l)];
  const bool fused = b.qkv.weight != nullptr;
  const dim n = pass.rows, fused_width = q_width_ + 2 * kv_width_;
  float* q = reserve(q_, n * (fused ? fused_width : q_width_));
  if (fused) {
    multiply({&b.qkv, Role::attn_qkv, normed, n, q}, l, pass.observer);
    store_heads(pass, l, q + q_width_, q + q_width_ + kv_width_, fused_width);
  } else {
    float* k = reserve(k_, n * kv_width_);
    float* v = reserve(v_, n * kv_width_);
    multiply({&b.k, Role::attn_k, normed, n, k}, l, pass.observer);
    multiply({&b.v, Role::attn_v, normed, n, v}, l, pass.observer);
    store_heads(pass, l, k, v, kv_width_);
  }
  if (l == config_.layers - 1 && !pass.observer) {
    pass.compact = true;
    pass.rows = dim(pass.piece.wanted.size());
    keep_wanted(pass, x_.as<float>(), config_.hidden);
    keep_wanted(pass, normed_.as<float>(), config_.hidden);
    if (config_.parallel_block && b.ffn_norm.weight) keep_wanted(pass, normed_ffn_.as<float>(), config_.hidden);
    if (fused) keep_wanted(pass, q, fused_width);
    if (pass.rows == 0) return q;
  }
  if (!fused) multiply({&b.q, Role::attn_q, normed, pass.rows, q}, l, pass.observer);
  turn_queries(pass, l, q, fused ? fused_width : q_width_);
  return q;
}

namespace {

struct HeadNorm {
  const Norm& norm;
  const Config& config;
  void operator()(float* x, dim heads) const {
    if (!norm.weight) return;
    const bool whole = config.head_norms == HeadNorms::whole;
    const dim width = whole ? heads * config.head_dim : config.head_dim;
    const dim step = config.head_norms == HeadNorms::each ? width : 0;  // of weights, from head to head
    for (dim h = 0; h < (whole ? 1 : heads); ++h) {
      float* head = x + h * width;
      norm_row({.x = head,
                .n = width,
                .weight = norm.weight + h * step,
                .bias = norm.bias ? norm.bias + h * step : nullptr,
                .plus = config.norm_plus_one ? 1.0f : 0.0f,
                .eps = config.norm_eps,
                .centred = config.norm == NormKind::layer,
                .out = head});
    }
  }
};

}  // namespace

// k, v: (rows, kv_width), row i at + i * stride; k is normed and turned in place.
void Layers::store_heads(Pass& pass, dim l, float* k, const float* v, dim stride) {
  const HeadNorm norm = {net_.blocks[std::size_t(l)].k_norm, config_};
  const bool neighbours = config_.rope.pairing == RopePairing::neighbours;
  const dim width = config_.head_dim, step = pass.cache.capacity() * width;
  for (const PieceRun& run : pass.piece.runs) {
    float* keys = pass.cache.keys(l, run.sequence) + run.first_position * width;
    float* values = pass.cache.values(l, run.sequence) + run.first_position * width;
    parallel_for(
        run.count,
        [&](dim i) {
          float* from = k + (run.row + i) * stride;
          norm(from, config_.kv_heads);
          if (config_.rope.on) rope_row(from, config_.kv_heads, width, rope_of(l), run.row + i, neighbours);
          for (dim h = 0; h < config_.kv_heads; ++h) {
            std::memcpy(keys + h * step + i * width, from + h * width, std::size_t(width) * sizeof(float));
            std::memcpy(values + h * step + i * width, v + (run.row + i) * stride + h * width,
                        std::size_t(width) * sizeof(float));
          }
        },
        grain_of(2 * kv_width_));
  }
}

void Layers::turn_queries(const Pass& pass, dim l, float* q, dim stride) {
  const HeadNorm norm = {net_.blocks[std::size_t(l)].q_norm, config_};
  const bool neighbours = config_.rope.pairing == RopePairing::neighbours;
  parallel_for(
      pass.rows,
      [&](dim i) {
        norm(q + i * stride, config_.heads);
        const dim row = pass.compact ? pass.piece.wanted[std::size_t(i)] : i;
        if (config_.rope.on) rope_row(q + i * stride, config_.heads, config_.head_dim, rope_of(l), row, neighbours);
      },
      grain_of(q_width_));
}

void Layers::attend(Pass& pass, dim l, const float* q) {
  queries_.clear();
  dim row = 0;
  for (const PieceRun& run : pass.piece.runs) {
    const dim skip = pass.compact ? run.wanted_from : 0;
    if (skip == run.count) continue;
    queries_.push_back({pass.cache.keys(l, run.sequence), pass.cache.values(l, run.sequence), run.first_position + skip,
                        run.count - skip, row});
    row += run.count - skip;
  }
  const bool fused = net_.blocks[std::size_t(l)].qkv.weight != nullptr;
  const AttentionShape shape = {
      .heads = config_.heads,
      .kv_heads = config_.kv_heads,
      .head_dim = config_.head_dim,
      .capacity = pass.cache.capacity(),
      .q_stride = fused ? q_width_ + 2 * kv_width_ : q_width_,
      .scale = float(config_.attn_scale > 0 ? config_.attn_scale : 1 / std::sqrt(double(config_.head_dim))),
      .softcap = float(config_.attn_softcap),
      .window = slides(l) ? config_.sliding_window : 0};
  attention_.run(shape, queries_, q, reserve(attended_, pass.rows * q_width_));
}

void Layers::add_to_residual(Pass& pass, dim l, const Linear& linear, Role role, const float* x, const Norm& post) {
  float* residual = x_.as<float>();
  if (!post.weight && config_.residual_scale == 1) {
    multiply({&linear, role, x, pass.rows, residual, 0, true}, l, pass.observer);
    return;
  }
  float* branch = reserve(branch_, pass.rows * config_.hidden);
  multiply({&linear, role, x, pass.rows, branch}, l, pass.observer);
  if (post.weight) normalize(post, branch, pass.rows, branch, l, "in");
  parallel_ranges(pass.rows, grain_of(config_.hidden), [&](dim begin, dim end) {
    add_scaled(residual + begin * config_.hidden, branch + begin * config_.hidden, float(config_.residual_scale),
               (end - begin) * config_.hidden);
  });
}

void Layers::feed_forward(Pass& pass, dim l, const float* normed) {
  const Block& b = net_.blocks[std::size_t(l)];
  const dim n = pass.rows, width = config_.ffn;
  GateRows gate = {.kind = kernel_of(config_.activation), .n = n, .cols = width, .stride = width};
  if (b.gate_up.weight) {
    float* both = reserve(gate_, n * 2 * width);
    multiply({&b.gate_up, Role::ffn_gate_up, normed, n, both}, l, pass.observer);
    gate.gate = both;
    gate.up = both + width;
    gate.stride = 2 * width;
    gate.out = reserve(active_, n * width);
  } else {
    float* up = reserve(up_, n * width);
    multiply({&b.up, Role::ffn_up, normed, n, up}, l, pass.observer);
    gate.gate = up;
    gate.out = up;
    if (config_.gated) {
      float* g = reserve(gate_, n * width);
      multiply({&b.gate, Role::ffn_gate, normed, n, g}, l, pass.observer);
      gate.gate = g;
      gate.up = up;
    }
  }
  gate_rows(gate);
  add_to_residual(pass, l, b.down, Role::ffn_down, gate.out, b.ffn_post_norm);
}

}  // namespace pith
