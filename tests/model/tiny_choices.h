// A small random network for every choice of Config.
#pragma once
#include <functional>

#include "tests/model/tiny_network.h"

namespace pith::test {

struct Choice {
  const char* name;
  std::function<void(Config&, TinyChoices&)> set;
};

inline Config small_config() {
  Config c;
  c.vocab = 50;
  c.hidden = 40;  // not a multiple of 16: tails are met everywhere
  c.layers = 3;
  c.heads = 6;
  c.kv_heads = 2;
  c.head_dim = 12;
  c.ffn = 56;
  c.context = 64;
  c.rope.dims = 12;
  c.rope.original_context = 16;
  return c;
}

inline const Choice kChoices[] = {
    {"plain", [](Config&, TinyChoices&) {}},
    {"neighbours", [](Config& c, TinyChoices&) { c.rope.pairing = RopePairing::neighbours; }},
    {"layer_norm",
     [](Config& c, TinyChoices& t) {
       c.norm = NormKind::layer;
       t.norm_biases = t.biases = true;
     }},
    {"plus_one", [](Config& c, TinyChoices& t) { c.norm_plus_one = true, t.qk_norm = true; }},
    {"gelu_tanh", [](Config& c, TinyChoices&) { c.activation = Activation::gelu_tanh; }},
    {"gelu_erf_plain", [](Config& c, TinyChoices&) { c.activation = Activation::gelu_erf, c.gated = false; }},
    {"relu", [](Config& c, TinyChoices&) { c.activation = Activation::relu, c.gated = false; }},
    {"parallel", [](Config& c, TinyChoices&) { c.parallel_block = true; }},
    {"parallel_shared_norm", [](Config& c, TinyChoices& t) { c.parallel_block = true, t.shared_norm = true; }},
    {"partial_rope", [](Config& c, TinyChoices&) { c.rope.dims = 6; }},
    {"linear_rope", [](Config& c, TinyChoices&) { c.rope.scaling = RopeScaling::linear, c.rope.factor = 3; }},
    {"llama3_rope",
     [](Config& c, TinyChoices&) { c.rope.scaling = RopeScaling::llama3, c.rope.factor = 8, c.rope.base = 50; }},
    {"yarn_rope",
     [](Config& c, TinyChoices&) {
       c.rope.scaling = RopeScaling::yarn, c.rope.factor = 4, c.rope.attn_factor = 1.139;
       c.rope.base = 100, c.rope.beta_fast = 2, c.rope.beta_slow = 0.5;
     }},
    {"longrope",
     [](Config& c, TinyChoices&) {
       c.rope.scaling = RopeScaling::longrope, c.rope.attn_factor = 1.2, c.rope.original_context = 4096;
       c.rope.freq_factors = {1, 1.1f, 1.5f, 2, 4, 9};
     }},
    {"positions", [](Config& c, TinyChoices& t) { c.rope.on = false, t.positions = 64; }},
    {"qk_norm", [](Config&, TinyChoices& t) { t.qk_norm = true; }},
    {"qk_norm_each",
     [](Config& c, TinyChoices& t) { t.qk_norm = true, c.head_norms = HeadNorms::each, c.norm = NormKind::layer; }},
    {"qk_norm_whole", [](Config& c, TinyChoices& t) { t.qk_norm = true, c.head_norms = HeadNorms::whole; }},
    {"soft_caps", [](Config& c, TinyChoices&) { c.attn_softcap = 0.8, c.logit_softcap = 1.5; }},
    {"scales",
     [](Config& c, TinyChoices&) {
       c.attn_scale = 0.6, c.embed_scale = 3, c.residual_scale = 0.4, c.logit_scale = 0.25;
     }},
    {"window", [](Config& c, TinyChoices&) { c.sliding_window = 5; }},
    {"window_pattern",
     [](Config& c, TinyChoices&) {
       c.sliding_window = 7, c.sliding_pattern = 2, c.rope_base_sliding = 30;
       c.rope.scaling = RopeScaling::linear, c.rope.factor = 2;
     }},
    {"post_norms", [](Config&, TinyChoices& t) { t.post_norms = true; }},
    {"only_post_norms", [](Config&, TinyChoices& t) { t.post_norms = true, t.pre_norms = false; }},
    {"fused", [](Config&, TinyChoices& t) { t.fused_qkv = t.fused_gate_up = t.biases = true; }},
    {"fused_by_head",
     [](Config& c, TinyChoices& t) { t.fused_qkv = t.biases = true, c.qkv_order = QkvOrder::by_head; }},
    {"untied_biases", [](Config&, TinyChoices& t) { t.tied = false, t.biases = true; }},
};

}  // namespace pith::test
