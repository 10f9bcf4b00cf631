#include <cmath>

#include "core/error.h"
#include "model/forward_layers.h"
#include "model/forward_rope.h"

namespace pith {

namespace {

// Where a plan has fixed scales, each layer must have brought its own.
void check_act(const ActPlan* act, const Linear& linear, const char* name, dim layer) {
  if (act && act->on() && act->fixed && !(linear.act_scale > 0 && std::isfinite(linear.act_scale)))
    throw Error(Blame::input, "activations",
                fmt::format("expected a static scale above 0 for the input of {} in layer {}, got {}", name, layer,
                            linear.act_scale),
                "only models that were compressed with static scales have them");
}

void check_matrix(const Linear& linear, const char* name, dim layer, dim rows, dim cols) {
  if (!linear.weight) throw input_error("model", "expected a matrix {} in layer {}, got none", name, layer);
  const dim r = rows_of(linear), c = cols_of(linear);
  if (r != rows || c != cols)
    throw input_error("model", "expected {} of layer {} to be {} x {}, got {} x {}", name, layer, rows, cols, r, c);
  if (linear.inner && weight_rows(*linear.inner) != weight_cols(*linear.weight))
    throw input_error("model", "expected the factors of {} in layer {} to be of one rank, got {} and {}", name, layer,
                      weight_cols(*linear.weight), weight_rows(*linear.inner));
  if (linear.inner && linear.turn)
    throw input_error("model", "expected {} in layer {} to be factored or turned, got both", name, layer);
  check_act(linear.act, linear, name, layer);
}

void check_sizes(const Config& c) {
  const auto positive = [](dim v, const char* name) {
    if (v < 1 || v > (dim(1) << 31)) throw input_error("model", "expected {} in 1 ... 2^31, got {}", name, v);
  };
  positive(c.vocab, "vocabulary size");
  positive(c.hidden, "hidden size");
  positive(c.layers, "layers");
  positive(c.heads, "heads");
  positive(c.kv_heads, "key-value heads");
  positive(c.head_dim, "head size");
  positive(c.ffn, "feed-forward size");
  if (c.heads % c.kv_heads != 0)
    throw input_error("model", "expected heads to be a multiple of key-value heads, got {} and {}", c.heads,
                      c.kv_heads);
  if (c.sliding_window < 0 || c.sliding_window > (dim(1) << 30))
    throw input_error("model", "expected a sliding window of 0 ... 2^30, got {}", c.sliding_window);
  if (!c.rope.on) return;
  const RopeChoice rope = rope_choice(c, false, 0);
  if (rope.dims < 2 || rope.dims % 2 != 0 || rope.dims > c.head_dim)
    throw input_error("model", "expected an even number of rotated dimensions up to {}, got {}", c.head_dim, rope.dims);
  if (!(rope.base > 0) || !(rope.factor > 0))
    throw input_error("model", "expected positive rope base and factor, got {} and {}", rope.base, rope.factor);
  if (!rope.divisors.empty() && dim(rope.divisors.size()) != rope.dims / 2)
    throw input_error("model", "expected {} rope factors, got {}", rope.dims / 2, rope.divisors.size());
}

void check_experts(const Config& c, const Block& b, dim l) {
  if (c.experts_used < 1 || c.experts_used > c.experts)
    throw input_error("model", "expected 1 to {} experts in use, got {}", c.experts, c.experts_used);
  if (dim(b.experts.size()) != c.experts)
    throw input_error("model", "expected {} experts in layer {}, got {}", c.experts, l, b.experts.size());
  check_matrix(b.router, "router", l, c.experts, c.hidden);
  for (const Expert& e : b.experts) {
    if (c.gated) check_matrix(e.gate, "expert_gate", l, c.expert_ffn, c.hidden);
    check_matrix(e.up, "expert_up", l, c.expert_ffn, c.hidden);
    check_matrix(e.down, "expert_down", l, c.hidden, c.expert_ffn);
  }
  if (!b.shared.up.weight) return;
  if (c.gated) check_matrix(b.shared.gate, "shared_gate", l, c.shared_ffn, c.hidden);
  check_matrix(b.shared.up, "shared_up", l, c.shared_ffn, c.hidden);
  check_matrix(b.shared.down, "shared_down", l, c.hidden, c.shared_ffn);
  if (b.shared_router.weight) check_matrix(b.shared_router, "shared_router", l, 1, c.hidden);
}

void check_block(const Config& c, const Block& b, dim l) {
  const dim q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  if (b.qkv.weight) {
    check_matrix(b.qkv, "attn_qkv", l, q + 2 * kv, c.hidden);
  } else {
    check_matrix(b.q, "attn_q", l, q, c.hidden);
    check_matrix(b.k, "attn_k", l, kv, c.hidden);
    check_matrix(b.v, "attn_v", l, kv, c.hidden);
  }
  check_matrix(b.o, "attn_o", l, c.hidden, q);
  if (c.experts > 0) return check_experts(c, b, l);
  if (b.gate_up.weight) {
    check_matrix(b.gate_up, "ffn_gate_up", l, 2 * c.ffn, c.hidden);
  } else {
    if (c.gated) check_matrix(b.gate, "ffn_gate", l, c.ffn, c.hidden);
    check_matrix(b.up, "ffn_up", l, c.ffn, c.hidden);
  }
  check_matrix(b.down, "ffn_down", l, c.hidden, c.ffn);
}

}  // namespace

void check_network(const Network& n) {
  PITH_CHECK(n.config);
  const Config& c = *n.config;
  check_sizes(c);
  if (dim(n.blocks.size()) != c.layers)
    throw input_error("model", "expected {} blocks, got {}", c.layers, n.blocks.size());
  if (!n.embed.weight || !n.lm_head.weight) throw input_error("model", "expected an embedding and a head, got none");
  check_matrix(n.embed, "embed", -1, c.vocab, c.hidden);
  check_matrix(n.lm_head, "lm_head", -1, c.vocab, c.hidden);
  if (n.pos_embed.weight && weight_rows(*n.pos_embed.weight) <= c.position_offset)
    throw input_error("model", "expected position embeddings after the first {}, got none", c.position_offset);
  if (n.pos_embed.weight && weight_cols(*n.pos_embed.weight) != c.hidden)
    throw input_error("model", "expected position embeddings of width {}, got {}", c.hidden,
                      weight_cols(*n.pos_embed.weight));
  for (dim l = 0; l < c.layers; ++l) {
    const Block& b = n.blocks[std::size_t(l)];
    check_block(c, b, l);
    for (const Linear* linear : {&b.q, &b.k, &b.v, &b.qkv, &b.o, &b.gate, &b.up, &b.gate_up, &b.down})
      if (linear->weight) check_act(n.act, *linear, "a matrix", l);
    for (const Expert& e : b.experts)
      for (const Linear* linear : {&e.gate, &e.up, &e.down})
        if (linear->weight) check_act(n.act, *linear, "an expert's matrix", l);
  }
}

}  // namespace pith
