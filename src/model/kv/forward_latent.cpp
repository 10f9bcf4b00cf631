// The attention of a block over a cache of what its keys and values are made from: both are multiplied out, one
// sequence and layer at a time, whenever they are read.
#include "core/error.h"
#include "model/forward_head_norm.h"
#include "model/forward_layers.h"
#include "model/forward_reserve.h"
#include "ops/parts.h"

namespace pith {

namespace {
constexpr dim kExpanded = 512;  // positions multiplied out at once
}

const float* Layers::store_latent(Pass& pass, dim l, const float* normed) {
  const Block& b = net_.blocks[std::size_t(l)];
  PITH_CHECK(b.k.inner && b.k.inner == b.v.inner);
  const dim width = weight_rows(*b.v.inner);
  const Product products[] = {{&b.k, Role::attn_k, normed, pass.rows, nullptr},
                              {&b.v, Role::attn_v, normed, pass.rows, nullptr}};
  show_inputs(products, l, pass.observer);
  multiply_inner(products, l, pass.observer);
  const float* made = inner_.as<float>() + inner_at_[0];
  if (!all_finite(made, pass.rows * width))
    throw Error(Blame::input, "forward", fmt::format("expected finite keys and values, got others in layer {}", l),
                "a weight there is damaged, or values overflow");
  for (const PieceRun& run : pass.piece.runs)
    pass.cache.latent_layout(pass.cache_layer(l))
        .append(pass.cache.latent_area(pass.cache_layer(l), run.sequence),
                {made + run.row * width, width, run.first_position, run.count}, kv_block_);
  return made;
}

// Keys and values of positions [from, to) into expanded_, whose heads hold `capacity` positions each.
void Layers::expand_latent(Pass& pass, dim l, dim sequence, dim from, dim to, dim capacity) {
  const Block& b = net_.blocks[std::size_t(l)];
  const KvLayout& layout = pass.cache.latent_layout(pass.cache_layer(l));
  const KvArea area = pass.cache.latent_area(pass.cache_layer(l), sequence);
  const HeadNorm norm = {b.k_norm, config_};
  const RopeTable* rope = rope_by_position(pass.cache, l);
  const bool neighbours = config_.rope.pairing == RopePairing::neighbours;
  const dim width = layout.side().head_dim, head = config_.head_dim, n = to - from;
  float* latent = reserve(latent_, n * width);
  parallel_ranges(n, grain_of(4 * width), [&](dim begin, dim end) {
    layout.read_encoded(area, 0, from + begin, from + end, latent + begin * width, nullptr);
  });
  float* k = reserve(k_, n * kv_width_);
  float* v = reserve(v_, n * kv_width_);
  multiply_outer({&b.k, Role::attn_k, nullptr, n, k}, latent);
  multiply_outer({&b.v, Role::attn_v, nullptr, n, v}, latent);
  float* keys = expanded_.as<float>();
  float* values = keys + config_.kv_heads * capacity * head;
  parallel_for(
      n,
      [&](dim i) {
        norm(k + i * kv_width_, config_.kv_heads);
        if (rope) rope_row(k + i * kv_width_, config_.kv_heads, head, *rope, from + i, neighbours);
        for (dim h = 0; h < config_.kv_heads; ++h) {
          std::copy_n(k + i * kv_width_ + h * head, head, keys + (h * capacity + from + i) * head);
          std::copy_n(v + i * kv_width_ + h * head, head, values + (h * capacity + from + i) * head);
        }
      },
      grain_of(2 * kv_width_));
}

void Layers::attend_latent(Pass& pass, dim l, const float* q) {
  AttentionShape shape = attention_shape(pass, l);
  float* out = reserve(attended_, pass.rows * q_width_);
  dim row = 0;
  for (const PieceRun& run : pass.piece.runs) {
    const dim skip = pass.compact ? run.wanted_from : 0, count = run.count - skip;
    if (count == 0) continue;
    const dim first = run.first_position + skip, end = run.first_position + run.count;
    shape.capacity = end;
    const float* keys = reserve(expanded_, 2 * config_.kv_heads * end * config_.head_dim);
    for (dim from = shape.window > 0 ? std::max<dim>(0, first - shape.window + 1) : 0; from < end; from += kExpanded)
      expand_latent(pass, l, run.sequence, from, std::min(from + kExpanded, end), end);
    const QueryRun queries = {keys, keys + config_.kv_heads * end * config_.head_dim, first, count, row};
    attention_.run(shape, {&queries, 1}, q, out);
    row += count;
  }
}

}  // namespace pith
