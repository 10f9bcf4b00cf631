// The attention of a block over an encoded cache of keys and values.
#include <algorithm>

#include "core/error.h"
#include "model/forward_head_norm.h"
#include "model/forward_layers.h"
#include "model/forward_reserve.h"
#include "model/forward_rope.h"
#include "ops/kv/hadamard.h"
#include "ops/parts.h"

namespace pith {

// x: (rows, heads, head_dim), row i at + i * stride.
void Layers::turn_heads(const Pass& pass, float* x, dim rows, dim stride, dim heads, bool back) const {
  const HeadRotation rotation(config_.head_dim, pass.cache.plan().rotation_seed);
  parallel_for(
      rows, [&](dim i) { back ? rotation.backward(x + i * stride, heads) : rotation.forward(x + i * stride, heads); },
      grain_of(8 * heads * config_.head_dim));
}

// k, v: (rows, kv_width), row i at + i * stride; they may be k_ and v_ themselves.
void Layers::store_encoded(Pass& pass, dim l, const float* k, const float* v, dim stride) {
  const KvPlan& plan = pass.cache.plan();
  const HeadNorm norm = {net_.blocks[std::size_t(l)].k_norm, config_};
  const bool rope = config_.rope.on && !plan.keys_before_rope;
  const bool neighbours = config_.rope.pairing == RopePairing::neighbours;
  float* keys = reserve(k_, pass.rows * kv_width_);
  float* values = reserve(v_, pass.rows * kv_width_);
  parallel_for(
      pass.rows,
      [&](dim i) {
        float* key = keys + i * kv_width_;
        float* value = values + i * kv_width_;
        if (key != k + i * stride) std::copy_n(k + i * stride, kv_width_, key);
        if (value != v + i * stride) std::copy_n(v + i * stride, kv_width_, value);
        norm(key, config_.kv_heads);
        // Codes would hide what an f32 cache hands on to where it is found.
        if (!all_finite(key, kv_width_) || !all_finite(value, kv_width_))
          throw Error(Blame::input, "forward",
                      fmt::format("expected finite keys and values, got others in layer {}", l),
                      "a weight there is damaged, or values overflow");
        if (rope) rope_row(key, config_.kv_heads, config_.head_dim, rope_of(l), i, neighbours);
      },
      grain_of(2 * kv_width_));
  if (plan.rotated) {
    turn_heads(pass, keys, pass.rows, kv_width_, config_.kv_heads, false);
    turn_heads(pass, values, pass.rows, kv_width_, config_.kv_heads, false);
  }
  pass.cache.key_layout().round_kept(keys, pass.rows * kv_width_);
  pass.cache.value_layout().round_kept(values, pass.rows * kv_width_);
  for (const PieceRun& run : pass.piece.runs) {
    pass.cache.key_layout().append(pass.cache.key_area(pass.cache_layer(l), run.sequence),
                                   {keys + run.row * kv_width_, kv_width_, run.first_position, run.count}, kv_block_);
    pass.cache.value_layout().append(pass.cache.value_area(pass.cache_layer(l), run.sequence),
                                     {values + run.row * kv_width_, kv_width_, run.first_position, run.count},
                                     kv_block_);
  }
}

void Layers::keep_newest(Pass& pass, dim l) {
  if (!pass.cache.encoded() || pass.cache.plan().latent) return;
  const float *keys = k_.as<float>(), *values = v_.as<float>();
  for (const PieceRun& run : pass.piece.runs) {
    pass.cache.key_layout().keep_newest(pass.cache.key_area(pass.cache_layer(l), run.sequence),
                                        {keys + run.row * kv_width_, kv_width_, run.first_position, run.count});
    pass.cache.value_layout().keep_newest(pass.cache.value_area(pass.cache_layer(l), run.sequence),
                                          {values + run.row * kv_width_, kv_width_, run.first_position, run.count});
  }
}

// The table that keys stored before their rotary embedding are turned by when read.
const RopeTable* Layers::rope_by_position(const KvCache& cache, dim l) {
  if (!config_.rope.on || !cache.plan().keys_before_rope) return nullptr;
  const bool own = config_.sliding_window > 0 && config_.rope_base_sliding > 0;
  if (rope_capacity_ != cache.capacity()) {
    std::vector<dim> positions(std::size_t(cache.capacity()));
    for (dim p = 0; p < cache.capacity(); ++p) positions[std::size_t(p)] = p;
    const auto fill = [&](RopeTable& table, bool sliding) {
      const RopeChoice choice = rope_choice(config_, sliding, cache.capacity());
      table.fill(rope_frequencies(choice, cache.capacity()), choice.magnitude, positions);
    };
    fill(every_rope_, false);
    if (own) fill(every_sliding_rope_, true);
    rope_capacity_ = cache.capacity();
  }
  return own && slides(l) ? &every_sliding_rope_ : &every_rope_;
}

void Layers::attend_encoded(Pass& pass, dim l, const float* q) {
  const float *keys = k_.as<float>(), *values = v_.as<float>();
  kv_queries_.clear();
  dim row = 0;
  for (const PieceRun& run : pass.piece.runs) {
    const dim skip = pass.compact ? run.wanted_from : 0;
    if (skip == run.count) continue;
    kv_queries_.push_back({.keys = pass.cache.key_area(pass.cache_layer(l), run.sequence),
                           .values = pass.cache.value_area(pass.cache_layer(l), run.sequence),
                           .key_rows = {keys + run.row * kv_width_, kv_width_, run.first_position, run.count},
                           .value_rows = {values + run.row * kv_width_, kv_width_, run.first_position, run.count},
                           .first_position = run.first_position + skip,
                           .count = run.count - skip,
                           .row = row});
    row += run.count - skip;
  }
  const KvAttentionCall call = {.shape = attention_shape(pass, l),
                                .keys = &pass.cache.key_layout(),
                                .values = &pass.cache.value_layout(),
                                .key_rope = rope_by_position(pass.cache, l),
                                .neighbours = config_.rope.pairing == RopePairing::neighbours};
  float* out = reserve(attended_, pass.rows * q_width_);
  kv_attention_.run(call, kv_queries_, q, out);
  if (pass.cache.plan().rotated) turn_heads(pass, out, pass.rows, q_width_, config_.heads, true);
}

}  // namespace pith
