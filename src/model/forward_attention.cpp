// The attention of a block.
#include <cmath>
#include <cstring>

#include "model/forward_head_norm.h"
#include "model/forward_layers.h"
#include "model/forward_reserve.h"
#include "ops/heads.h"
#include "ops/parts.h"

namespace pith {

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
  const bool last = l == config_.layers - 1 && !pass.observer && !pass.alone;
  const bool drops = last && dim(pass.piece.wanted.size()) < n;  // then queries are made of the wanted rows only
  if (fused) {
    multiply({&b.qkv, Role::attn_qkv, normed, n, q}, l, pass.observer);
    if (config_.qkv_order == QkvOrder::by_head)
      stack_qkv({q, n, config_.kv_heads, config_.heads / config_.kv_heads, config_.head_dim}, heads_);
    store_heads(pass, l, q + q_width_, q + q_width_ + kv_width_, fused_width);
  } else if (pass.cache.plan().latent) {
    const float* latent = store_latent(pass, l, normed);
    const Product product = {&b.q, Role::attn_q, normed, n, q};
    if (!drops && b.q.inner == b.v.inner && !pass.observer)
      multiply_outer(product, latent);
    else if (!drops)
      multiply(product, l, pass.observer);
  } else {
    float* k = reserve(k_, n * kv_width_);
    float* v = reserve(v_, n * kv_width_);
    const Product products[] = {
        {&b.k, Role::attn_k, normed, n, k}, {&b.v, Role::attn_v, normed, n, v}, {&b.q, Role::attn_q, normed, n, q}};
    multiply(std::span(products, drops ? 2 : 3), l, pass.observer);
    store_heads(pass, l, k, v, kv_width_);
  }
  if (last) {
    pass.compact = true;
    pass.rows = dim(pass.piece.wanted.size());
    keep_wanted(pass, x_.as<float>(), config_.hidden);
    keep_wanted(pass, normed_.as<float>(), config_.hidden);
    if (config_.parallel_block && b.ffn_norm.weight) keep_wanted(pass, normed_ffn_.as<float>(), config_.hidden);
    if (fused) keep_wanted(pass, q, fused_width);
    if (pass.rows == 0) return q;
  }
  if (!fused && drops) multiply({&b.q, Role::attn_q, normed, pass.rows, q}, l, pass.observer);
  turn_queries(pass, l, q, fused ? fused_width : q_width_);
  return q;
}

// k, v: (rows, kv_width), row i at + i * stride; k is normed and turned in place.
void Layers::store_heads(Pass& pass, dim l, float* k, const float* v, dim stride) {
  if (pass.cache.encoded()) return store_encoded(pass, l, k, v, stride);
  const HeadNorm norm = {net_.blocks[std::size_t(l)].k_norm, config_};
  const bool neighbours = config_.rope.pairing == RopePairing::neighbours;
  const dim width = config_.head_dim, step = pass.cache.capacity() * width;
  for (const PieceRun& run : pass.piece.runs) {
    float* keys = pass.cache.keys(pass.cache_layer(l), run.sequence) + run.first_position * width;
    float* values = pass.cache.values(pass.cache_layer(l), run.sequence) + run.first_position * width;
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
  if (pass.cache.plan().rotated) turn_heads(pass, q, pass.rows, stride, config_.heads, false);
}

AttentionShape Layers::attention_shape(const Pass& pass, dim l) const {
  const bool fused = net_.blocks[std::size_t(l)].qkv.weight != nullptr;
  return {.heads = config_.heads,
          .kv_heads = config_.kv_heads,
          .head_dim = config_.head_dim,
          .capacity = pass.cache.capacity(),
          .q_stride = fused ? q_width_ + 2 * kv_width_ : q_width_,
          .scale = float(config_.attn_scale > 0 ? config_.attn_scale : 1 / std::sqrt(double(config_.head_dim))),
          .softcap = float(config_.attn_softcap),
          .window = slides(l) ? config_.sliding_window : 0};
}

void Layers::attend(Pass& pass, dim l, const float* q) {
  if (pass.cache.plan().latent) return attend_latent(pass, l, q);
  if (pass.cache.encoded()) return attend_encoded(pass, l, q);
  queries_.clear();
  dim row = 0;
  for (const PieceRun& run : pass.piece.runs) {
    const dim skip = pass.compact ? run.wanted_from : 0;
    if (skip == run.count) continue;
    queries_.push_back({pass.cache.keys(pass.cache_layer(l), run.sequence),
                        pass.cache.values(pass.cache_layer(l), run.sequence), run.first_position + skip,
                        run.count - skip, row});
    row += run.count - skip;
  }
  attention_.run(attention_shape(pass, l), queries_, q, reserve(attended_, pass.rows * q_width_));
}

}  // namespace pith
