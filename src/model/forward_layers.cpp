#include "model/forward_layers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/forward_reserve.h"
#include "model/forward_rope.h"
#include "model/sliding.h"
#include "ops/embed.h"
#include "ops/norm.h"
#include "ops/parts.h"

namespace pith {

namespace {

constexpr dim kPieceBytes = dim(256) << 20;  // all activations of one piece
constexpr dim kMostRows = 4096, kLeastRows = 128;

}  // namespace

dim Layers::bytes_for_rows(const Config& c, dim rows) {
  const dim per_row = 4 * c.hidden + 2 * (c.heads + c.kv_heads) * c.head_dim +
                      2 * std::max({c.ffn, c.expert_ffn, c.shared_ffn}) +
                      (c.experts > 0 ? 2 * c.hidden + c.experts : 0);
  return rows * per_row * dim(sizeof(float));
}

dim Layers::rows_that_fit(const Config& c) {
  return std::clamp(kPieceBytes / bytes_for_rows(c, 1), kLeastRows, kMostRows);
}

Layers::Layers(const Network& network)
    : net_(network),
      config_(*network.config),
      q_width_(config_.heads * config_.head_dim),
      kv_width_(config_.kv_heads * config_.head_dim),
      max_rows_(rows_that_fit(config_)) {}

dim Layers::workspace_bytes() const {
  dim sum = linear_.size_bytes() + panel_.size_bytes() + attention_.size_bytes() + kv_attention_.size_bytes() +
            rope_.size_bytes() + sliding_rope_.size_bytes() + every_rope_.size_bytes() +
            every_sliding_rope_.size_bytes();
  for (const Buffer* b : {&x_, &normed_, &normed_ffn_, &q_, &k_, &v_, &attended_, &branch_, &gate_, &up_, &active_,
                          &heads_, &routed_, &picked_, &expert_out_, &kv_block_, &latent_, &expanded_, &inner_})
    sum += b->size_bytes();
  return sum;
}

bool Layers::slides(dim layer) const { return layer_slides(config_, layer); }

const RopeTable& Layers::rope_of(dim layer) const {
  return slides(layer) && config_.rope_base_sliding > 0 ? sliding_rope_ : rope_;
}

const ActPlan* Layers::act_of(const Product& p) const {
  return net_.act && is_linear(p.role) ? net_.act : p.linear->act;
}

bool Layers::as_panels(const Product& p) const {
  const ActPlan* act = act_of(p);
  const bool rescaled = p.linear->low_rank && p.linear->low_rank->row_factors;
  return p.linear->panels && !p.linear->inner && !p.linear->turn && !rescaled && !(act && act->on());
}

// The inner factors' products, for those of the products that have one; what they give, in the same order.
void Layers::multiply_inner(std::span<const Product> products, dim layer, LinearObserver* observer) {
  dim values = 0;
  inner_at_.assign(products.size(), -1);
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Product& p = products[i];
    if (!p.linear->inner) continue;
    for (std::size_t k = 0; k < i && inner_at_[i] < 0; ++k)  // computed once for all that read it
      if (products[k].linear->inner == p.linear->inner && products[k].x == p.x) inner_at_[i] = inner_at_[k];
    if (inner_at_[i] >= 0) continue;
    inner_at_[i] = values;
    values += p.n * weight_rows(*p.linear->inner);
  }
  if (values == 0) return;
  float* all = reserve(inner_, values);
  panel_products_.clear();
  dim done = 0;
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Product& p = products[i];
    if (inner_at_[i] < done) continue;
    const dim rank = weight_rows(*p.linear->inner);
    float* y = all + inner_at_[i];
    done = inner_at_[i] + p.n * rank;
    const ActPlan* act = act_of(p);
    if (p.linear->inner_panels && !(act && act->on()))
      panel_products_.push_back({p.linear->inner_panels, nullptr, y, rank, false});
    else
      linear({p.linear->inner, nullptr, p.x, p.n, y, rank, false, act, p.linear->act_scale}, linear_);
  }
  const Product& first = products[0];
  if (!panel_products_.empty()) pith::panel_products(panel_products_, first.x, cols_of(*first.linear), first.n, panel_);
  if (!observer) return;
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Product& p = products[i];
    if (p.linear->inner)
      observer->factor_input(p.role, layer, p.expert, all + inner_at_[i], p.n, weight_rows(*p.linear->inner));
  }
}

void Layers::multiply_outer(const Product& p, const float* x) {
  const dim stride = p.y_stride > 0 ? p.y_stride : rows_of(*p.linear);
  if (p.linear->panels) {
    const PanelProduct product = {p.linear->panels, p.linear->bias, p.y, stride, p.add};
    pith::panel_products({&product, 1}, x, weight_cols(*p.linear->weight), p.n, panel_);
  } else {
    linear({p.linear->weight, p.linear->bias, x, p.n, p.y, stride, p.add}, linear_);
  }
  if (p.linear->low_rank) add_low_rank(*p.linear->low_rank, p.x, p.n, p.y, stride, linear_.low_rank);
}

void Layers::show_inputs(std::span<const Product> products, dim layer, LinearObserver* observer) {
  if (!observer) return;
  for (const Product& p : products) {
    const dim cols = cols_of(*p.linear);
    if (p.expert < 0) observer->linear_input(p.role, layer, p.x, p.n, cols);
    if (p.expert >= 0) observer->expert_input(p.role, layer, p.expert, p.x, p.n, cols);
  }
}

void Layers::multiply(std::span<const Product> products, dim layer, LinearObserver* observer) {
  show_inputs(products, layer, observer);
  multiply_inner(products, layer, observer);
  panel_products_.clear();
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Product& p = products[i];
    if (p.linear->inner) {
      multiply_outer(p, inner_.as<float>() + inner_at_[i]);
      continue;
    }
    const dim stride = p.y_stride > 0 ? p.y_stride : rows_of(*p.linear);
    if (as_panels(p))
      panel_products_.push_back({p.linear->panels, p.linear->bias, p.y, stride, p.add});
    else
      linear({p.linear->weight, p.linear->bias, p.x, p.n, p.y, stride, p.add, act_of(p), p.linear->act_scale,
              p.linear->turn, p.linear->low_rank},
             linear_);
  }
  const Product& first = products[0];
  if (!panel_products_.empty()) pith::panel_products(panel_products_, first.x, cols_of(*first.linear), first.n, panel_);
  for (const Product& p : products)
    if (p.linear->low_rank && as_panels(p))
      add_low_rank(*p.linear->low_rank, p.x, p.n, p.y, p.y_stride > 0 ? p.y_stride : rows_of(*p.linear),
                   linear_.low_rank);
  if (!observer) return;
  for (const Product& p : products)
    if (p.expert < 0 && !p.add) observer->linear_output(p.role, layer, p.y, p.n, rows_of(*p.linear));
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
  const dim known = weight_rows(*net_.pos_embed.weight) - config_.position_offset;
  std::vector<dim> rows;
  for (const dim p : piece.positions) {
    if (p >= known) throw input_error("context", "expected at most {} tokens in a sequence, got {}", known, p + 1);
    rows.push_back(p + config_.position_offset);
  }
  embed_rows(*net_.pos_embed.weight, rows, 1, x, reserve(normed_, piece.rows() * config_.hidden), true);
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

void Layers::embed(const Piece& piece, float* hidden) {
  embed(piece);
  std::memcpy(hidden, x_.as<float>(), std::size_t(piece.rows() * config_.hidden) * sizeof(float));
}

void Layers::run_block(KvCache& cache, const Piece& piece, dim l, float* hidden, LinearObserver* observer) {
  const std::size_t bytes = std::size_t(piece.rows() * config_.hidden) * sizeof(float);
  std::memcpy(reserve(x_, piece.rows() * config_.hidden), hidden, bytes);
  fill_ropes(cache, piece);
  Pass pass = {cache, piece, observer, piece.rows(), false, true};
  layer(pass, l);
  std::memcpy(hidden, x_.as<float>(), bytes);
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
  if (pass.rows > 0) attend(pass, l, q);
  keep_newest(pass, l);
  if (pass.rows == 0) return;
  add_to_residual(pass, l, b.o, Role::attn_o, attended_.as<float>(), b.attn_post_norm);
  if (pass.observer) pass.observer->residual(l, x_.as<float>(), pass.rows);
  if (!config_.parallel_block) normalize(b.ffn_norm, x_.as<float>(), pass.rows, normed, l, "after the attention of");
  feed_forward(pass, l, ffn_input);
}

}  // namespace pith
