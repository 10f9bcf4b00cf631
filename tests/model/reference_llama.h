// A plain double-precision forward pass over a Network of f32 weights, one sequence, written from the papers'
// formulas with nothing shared with src/: the specification that the fast pass is tested against.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "formats/format.h"
#include "model/forward.h"

namespace pith::test {

using Vec = std::vector<double>;

class ReferenceLlama {
 public:
  explicit ReferenceLlama(const Network& net) : net_(net), c_(*net.config) {}

  // Logits of every position, (tokens, vocab).
  std::vector<Vec> logits(std::span<const Token> tokens) const {
    std::vector<Vec> x;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      Vec row = row_of(net_.embed, tokens[t]);
      for (double& v : row) v *= c_.embed_scale;
      if (net_.pos_embed.weight) add(row, row_of(net_.pos_embed, dim(t)), 1);
      x.push_back(row);
    }
    for (dim l = 0; l < c_.layers; ++l) layer(x, l);
    std::vector<Vec> out;
    for (const Vec& row : x) {
      Vec y = apply(net_.lm_head, norm(net_.output_norm, row));
      for (double& v : y) {
        v *= c_.logit_scale;
        if (c_.logit_softcap > 0) v = c_.logit_softcap * std::tanh(v / c_.logit_softcap);
      }
      out.push_back(y);
    }
    return out;
  }

  // The residual stream of all positions, before a block and then after it.
  void layer(std::vector<Vec>& x, dim l) const {
    const Block& b = net_.blocks[std::size_t(l)];
    const bool sliding = slides(l);
    const auto qn = std::ptrdiff_t(c_.heads * c_.head_dim), kn = std::ptrdiff_t(c_.kv_heads * c_.head_dim);
    std::vector<Vec> qs, ks, vs;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vec in = norm(b.attn_norm, x[t]);
      Vec q, k, v;
      if (b.qkv.weight) {
        const Vec all = stacked(apply(b.qkv, in));
        q.assign(all.begin(), all.begin() + qn);
        k.assign(all.begin() + qn, all.begin() + qn + kn);
        v.assign(all.begin() + qn + kn, all.end());
      } else {
        q = apply(b.q, in), k = apply(b.k, in), v = apply(b.v, in);
      }
      heads(q, c_.heads, b.q_norm, dim(t), sliding);
      heads(k, c_.kv_heads, b.k_norm, dim(t), sliding);
      qs.push_back(q), ks.push_back(k), vs.push_back(v);
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vec before = x[t];
      const Vec attended = apply(b.o, attend(qs[t], ks, vs, dim(t), sliding));
      add(x[t], norm(b.attn_post_norm, attended), c_.residual_scale);
      const Vec& source = c_.parallel_block ? before : x[t];
      const Norm& n = c_.parallel_block && !b.ffn_norm.weight ? b.attn_norm : b.ffn_norm;
      add(x[t], norm(b.ffn_post_norm, ffn(b, norm(n, source))), c_.residual_scale);
    }
  }

 private:
  static Vec row_of(const Linear& l, dim r) {
    const Encoded& e = std::get<Encoded>(*l.weight);
    std::vector<float> row(static_cast<std::size_t>(e.cols));
    e.format->decode(*e.format, e.data + r * row_bytes(*e.format, e.cols), e.cols, row.data());
    return {row.begin(), row.end()};
  }
  static void add(Vec& x, const Vec& y, double scale) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i] * scale;
  }
  static Vec apply(const Linear& l, const Vec& x) {
    const Encoded& e = std::get<Encoded>(*l.weight);
    Vec y(static_cast<std::size_t>(e.rows));
    for (dim r = 0; r < e.rows; ++r) {
      const Vec w = row_of(l, r);
      double s = l.bias ? double(l.bias[r]) : 0;
      for (std::size_t i = 0; i < w.size(); ++i) s += w[i] * x[i];
      y[std::size_t(r)] = s;
    }
    return y;
  }
  Vec norm(const Norm& n, const Vec& x) const {
    if (!n.weight) return x;
    double mean = 0, square = 0;
    if (c_.norm == NormKind::layer) {
      for (const double v : x) mean += v;
      mean /= double(x.size());
    }
    for (const double v : x) square += (v - mean) * (v - mean);
    const double scale = 1 / std::sqrt(square / double(x.size()) + c_.norm_eps);
    Vec y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] =
          (x[i] - mean) * scale * (double(n.weight[i]) + (c_.norm_plus_one ? 1 : 0)) + (n.bias ? double(n.bias[i]) : 0);
    return y;
  }
  bool slides(dim l) const {
    return c_.sliding_window > 0 && (c_.sliding_pattern == 0 || (l + 1) % c_.sliding_pattern != 0);
  }

  double frequency(dim pair, bool sliding) const {
    const Rope& r = c_.rope;
    const double dims = double(r.dims), exponent = 2 * double(pair) / dims;
    if (sliding && c_.rope_base_sliding > 0) return std::pow(c_.rope_base_sliding, -exponent);
    double f = std::pow(r.base, -exponent);
    const double turns = double(r.original_context) * f / (2 * M_PI);  // over the original context
    if (r.scaling == RopeScaling::linear) f /= r.factor;
    if (r.scaling == RopeScaling::llama3) {
      const double t = (turns - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
      const double keep = std::min(1.0, std::max(0.0, t));
      f = f * keep + f / r.factor * (1 - keep);
    }
    if (r.scaling == RopeScaling::yarn) {
      const auto pair_of = [&](double n) {
        return dims * std::log(double(r.original_context) / (n * 2 * M_PI)) / (2 * std::log(r.base));
      };
      const double low = std::max(std::floor(pair_of(r.beta_fast)), 0.0);
      const double high = std::min(std::ceil(pair_of(r.beta_slow)), dims - 1);
      const double ramp = std::min(1.0, std::max(0.0, (double(pair) - low) / (high - low)));
      f = f / r.factor * ramp + f * (1 - ramp);
    }
    if (!r.freq_factors.empty()) f /= double(r.freq_factors[std::size_t(pair)]);
    return f;
  }
  void rope(Vec& x, std::size_t first, dim position, bool sliding) const {
    if (!c_.rope.on) return;
    const bool scaled = c_.rope.scaling == RopeScaling::yarn || c_.rope.scaling == RopeScaling::longrope;
    const double m = scaled && !(sliding && c_.rope_base_sliding > 0) ? c_.rope.attn_factor : 1;
    for (dim i = 0; i < c_.rope.dims / 2; ++i) {
      const bool halves = c_.rope.pairing == RopePairing::halves;
      double& a = x[first + std::size_t(halves ? i : 2 * i)];
      double& b = x[first + std::size_t(halves ? i + c_.rope.dims / 2 : 2 * i + 1)];
      const double angle = double(position) * frequency(i, sliding), co = std::cos(angle) * m, si = std::sin(angle) * m;
      const double old = a;
      a = a * co - b * si;
      b = b * co + old * si;
    }
  }

  // All queries, all keys, all values.
  Vec stacked(const Vec& x) const {
    if (c_.qkv_order == QkvOrder::stacked) return x;
    Vec y;
    const dim group = c_.heads / c_.kv_heads;
    const auto take = [&](dim first, dim count) {
      for (dim kv = 0; kv < c_.kv_heads; ++kv)
        for (dim i = 0; i < count * c_.head_dim; ++i)
          y.push_back(x[std::size_t((kv * (group + 2) + first) * c_.head_dim + i)]);
    };
    take(0, group), take(group, 1), take(group + 1, 1);
    return y;
  }
  void heads(Vec& x, dim count, const Norm& all, dim position, bool sliding) const {
    const bool whole = c_.head_norms == HeadNorms::whole;
    if (all.weight && whole) x = norm(all, x);
    for (dim h = 0; h < count; ++h) {
      const auto first = std::ptrdiff_t(h * c_.head_dim);
      const Norm n = {c_.head_norms == HeadNorms::each && all.weight ? all.weight + first : all.weight, nullptr};
      if (n.weight && !whole) {
        const Vec head = norm(n, Vec(x.begin() + first, x.begin() + first + c_.head_dim));
        std::copy(head.begin(), head.end(), x.begin() + first);
      }
      rope(x, std::size_t(first), position, sliding);
    }
  }

  Vec attend(const Vec& q, const std::vector<Vec>& k, const std::vector<Vec>& v, dim t, bool sliding) const {
    Vec out(q.size(), 0);
    const double scale = c_.attn_scale > 0 ? c_.attn_scale : 1 / std::sqrt(double(c_.head_dim));
    const dim first = sliding ? std::max<dim>(0, t - c_.sliding_window + 1) : 0;
    for (dim h = 0; h < c_.heads; ++h) {
      const std::size_t qs = std::size_t(h * c_.head_dim);
      const std::size_t ks = std::size_t(h / (c_.heads / c_.kv_heads) * c_.head_dim);
      Vec p;
      for (dim j = first; j <= t; ++j) {
        double s = 0;
        for (std::size_t d = 0; d < std::size_t(c_.head_dim); ++d) s += q[qs + d] * k[std::size_t(j)][ks + d];
        s *= scale;
        if (c_.attn_softcap > 0) s = c_.attn_softcap * std::tanh(s / c_.attn_softcap);
        p.push_back(s);
      }
      const double top = *std::max_element(p.begin(), p.end());
      double sum = 0;
      for (double& s : p) sum += s = std::exp(s - top);
      for (std::size_t j = 0; j < p.size(); ++j)
        for (std::size_t d = 0; d < std::size_t(c_.head_dim); ++d)
          out[qs + d] += p[j] / sum * v[std::size_t(first) + j][ks + d];
    }
    return out;
  }

  double act(double v) const {
    switch (c_.activation) {
      case Activation::silu:
        return v / (1 + std::exp(-v));
      case Activation::gelu_tanh:
        return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
      case Activation::gelu_erf:
        return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
      case Activation::relu:
        return std::max(v, 0.0);
    }
    return 0;
  }
  Vec ffn(const Block& b, const Vec& x) const {
    const auto n = std::size_t(c_.ffn);
    Vec gate, up;
    if (b.gate_up.weight) {
      const Vec both = apply(b.gate_up, x);
      gate.assign(both.begin(), both.begin() + c_.ffn);
      up.assign(both.begin() + c_.ffn, both.end());
    } else {
      up = apply(b.up, x);
      if (c_.gated) gate = apply(b.gate, x);
    }
    Vec y(n);
    for (std::size_t i = 0; i < n; ++i) y[i] = c_.gated ? act(gate[i]) * up[i] : act(up[i]);
    return apply(b.down, y);
  }

  const Network& net_;
  const Config& c_;
};

}  // namespace pith::test
