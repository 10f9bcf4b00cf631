// A network of random f32 weights for any Config.
#pragma once
#include <cmath>
#include <list>
#include <string>
#include <vector>

#include "core/rng.h"
#include "formats/format.h"
#include "model/forward.h"

namespace pith::test {

struct TinyChoices {  // what a tensor's presence decides
  bool biases = false, norm_biases = false, qk_norm = false, post_norms = false, pre_norms = true;
  bool fused_qkv = false, fused_gate_up = false, shared_norm = false, tied = true;
  dim positions = 0;      // rows of a position embedding
  bool q_latent = false;  // with Config::kv_latent: queries are made from the same inner factor as keys and values
};

class TinyNetwork {
 public:
  TinyNetwork(const Config& config, const TinyChoices& choices, std::uint64_t seed) : config_(config), rng_(seed) {
    const Config& c = config_;
    const dim q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
    net_.config = &config_;
    net_.embed = linear("embed", c.vocab, c.hidden, false, 1.0);
    net_.lm_head = choices.tied ? net_.embed : linear("lm_head", c.vocab, c.hidden, choices.biases);
    if (choices.positions > 0) net_.pos_embed = linear("pos_embed", choices.positions, c.hidden, false, 0.5);
    net_.output_norm = norm("output_norm", c.hidden, choices.norm_biases);
    for (dim l = 0; l < c.layers; ++l) {
      const std::string p = std::to_string(l) + ".";
      Block b;
      if (choices.pre_norms) {
        b.attn_norm = norm(p + "attn_norm", c.hidden, choices.norm_biases);
        if (!choices.shared_norm) b.ffn_norm = norm(p + "ffn_norm", c.hidden, choices.norm_biases);
      }
      if (choices.post_norms) {
        b.attn_post_norm = norm(p + "attn_post_norm", c.hidden, false);
        b.ffn_post_norm = norm(p + "ffn_post_norm", c.hidden, false);
      }
      if (choices.qk_norm) {
        const bool shared = c.head_norms == HeadNorms::shared;
        b.q_norm = norm(p + "q_norm", shared ? c.head_dim : q, false);
        b.k_norm = norm(p + "k_norm", shared ? c.head_dim : kv, false);
      }
      if (choices.fused_qkv) {
        b.qkv = linear(p + "qkv", q + 2 * kv, c.hidden, choices.biases);
      } else {
        b.q = linear(p + "q", q, c.hidden, choices.biases);
        b.k = linear(p + "k", kv, c.hidden, choices.biases);
        b.v = linear(p + "v", kv, c.hidden, choices.biases);
        if (!c.kv_latent.empty()) share_inner(b, c.kv_latent[std::size_t(l)], choices);
      }
      b.o = linear(p + "o", c.hidden, q, choices.biases);
      if (choices.fused_gate_up) {
        b.gate_up = linear(p + "gate_up", 2 * c.ffn, c.hidden, choices.biases);
      } else {
        if (c.gated) b.gate = linear(p + "gate", c.ffn, c.hidden, choices.biases);
        b.up = linear(p + "up", c.ffn, c.hidden, choices.biases);
      }
      b.down = linear(p + "down", c.hidden, c.ffn, choices.biases);
      blocks_.push_back(b);
    }
    net_.blocks = blocks_;
  }
  TinyNetwork(const TinyNetwork&) = delete;

  const Network& network() const { return net_; }
  const Config& config() const { return config_; }
  const float* values(const Linear& l) const { return std::get<Encoded>(*l.weight).owned.as<float>(); }
  float* mutable_vector(const float* v) {
    for (auto& vector : vectors_)
      if (vector.data() == v) return vector.data();
    return nullptr;
  }
  float* mutable_values(const Linear& l) {
    for (auto& w : weights_)
      if (&w == l.weight) return std::get<Encoded>(w).owned.as<float>();
    return nullptr;
  }

 private:
  Linear linear(const std::string&, dim rows, dim cols, bool bias, double spread = 0) {
    Encoded e;
    e.format = &f32_format();
    e.rows = rows;
    e.cols = cols;
    e.owned = Buffer(rows * cols * dim(sizeof(float)));
    const double scale = spread > 0 ? spread : 1 / std::sqrt(double(cols));
    for (dim i = 0; i < rows * cols; ++i) e.owned.as<float>()[i] = float(rng_.normal() * scale);
    e.data = e.owned.data();
    weights_.push_back(std::move(e));
    return {&weights_.back(), bias ? vector(rows, 0, 0.3) : nullptr};
  }
  void share_inner(Block& b, dim rank, const TinyChoices& choices) {
    const Linear inner = linear("inner", rank, config_.hidden, false);
    for (Linear* outer : {&b.k, &b.v, choices.q_latent ? &b.q : nullptr}) {
      if (!outer) continue;
      *outer = linear("outer", rows_of(*outer), rank, choices.biases);
      outer->inner = inner.weight;
    }
  }
  Norm norm(const std::string&, dim n, bool bias) {
    return {vector(n, config_.norm_plus_one ? 0 : 1, 0.2), bias ? vector(n, 0, 0.2) : nullptr};
  }
  const float* vector(dim n, double center, double spread) {
    std::vector<float> v(static_cast<std::size_t>(n));
    for (float& x : v) x = float(center + rng_.normal() * spread);
    vectors_.push_back(std::move(v));
    return vectors_.back().data();
  }

  Config config_;
  Rng rng_;
  std::list<Weight> weights_;
  std::list<std::vector<float>> vectors_;
  std::vector<Block> blocks_;
  Network net_;
};

}  // namespace pith::test
