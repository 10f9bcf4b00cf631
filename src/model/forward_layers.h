// The blocks of the forward pass over one piece of tokens, with the workspaces they share.
#pragma once
#include "kernels/rows.h"
#include "model/forward.h"
#include "model/forward_piece.h"
#include "ops/attention.h"
#include "ops/kv/kv_attention.h"
#include "ops/linear.h"
#include "ops/moe.h"
#include "ops/panel_product.h"
#include "ops/rope.h"

namespace pith {

class Layers {
 public:
  explicit Layers(const Network& network);  // keeps the network's views; checks the shapes

  // Runs all blocks over a piece whose tokens lie in the cache at their positions afterwards. Returns the hidden
  // states, (rows, hidden), before the output norm: of the wanted rows only, or of all rows where there is an
  // observer.
  float* run(KvCache& cache, const Piece& piece, LinearObserver* observer);

  // One block at a time. hidden: (rows, hidden) of the piece.
  void embed(const Piece& piece, float* hidden);
  // hidden before the block becomes what follows it; the cache has one layer, which is this one's.
  void run_block(KvCache& cache, const Piece& piece, dim l, float* hidden, LinearObserver* observer);

  // y (n, rows of the weight) = or += x W^T + bias, seen by the observer first.
  struct Product {
    const Linear* linear;
    Role role;
    const float* x;
    dim n;
    float* y;
    dim y_stride = 0;  // 0: dense
    bool add = false;
    dim expert = -1;
  };
  void multiply(const Product& product, dim layer, LinearObserver* observer) {
    multiply({&product, 1}, layer, observer);
  }
  // Several of the same x.
  void multiply(std::span<const Product> products, dim layer, LinearObserver* observer);
  const ActPlan* act_of(const Product& product) const;
  void show_inputs(std::span<const Product> products, dim layer, LinearObserver* observer);
  bool as_panels(const Product& product) const;  // its one matrix is multiplied from panels
  void multiply_inner(std::span<const Product> products, dim layer, LinearObserver* observer);
  void multiply_outer(const Product& product, const float* inner);
  // Where the norm is absent the input is copied. `where` names the place in the Error for values not finite.
  void normalize(const Norm& norm, const float* x, dim n, float* out, dim layer, const char* where);

  dim max_rows() const { return max_rows_; }
  static dim rows_that_fit(const Config& config);             // of a piece
  static dim bytes_for_rows(const Config& config, dim rows);  // of their activations, about
  dim workspace_bytes() const;

 private:
  struct Pass {  // what is the same for all layers of a run
    KvCache& cache;
    const Piece& piece;
    LinearObserver* observer;
    dim rows = 0;          // of the residual stream: all, or the wanted ones once the last layer dropped the others
    bool compact = false;  // the others were dropped
    bool alone = false;    // one block by itself
    dim cache_layer(dim l) const { return alone ? 0 : l; }
  };
  void embed(const Piece& piece);
  void fill_ropes(const KvCache& cache, const Piece& piece);
  void layer(Pass& pass, dim l);
  const float* attention_inputs(Pass& pass, dim l, const float* normed);
  void store_heads(Pass& pass, dim l, float* k, const float* v, dim stride);
  // With an encoded cache: keys and values stay in k_ and v_, (rows, kv_width), until keep_newest.
  void store_encoded(Pass& pass, dim l, const float* k, const float* v, dim stride);
  void attend_encoded(Pass& pass, dim l, const float* q);
  void keep_newest(Pass& pass, dim l);
  // With a cache of what keys and values are made from (kv/forward_latent.cpp).
  const float* store_latent(Pass& pass, dim l, const float* normed);  // returns them, (rows, width)
  void attend_latent(Pass& pass, dim l, const float* q);
  void expand_latent(Pass& pass, dim l, dim sequence, dim from, dim to, dim capacity);
  void turn_heads(const Pass& pass, float* x, dim rows, dim stride, dim heads, bool back) const;
  const RopeTable* rope_by_position(const KvCache& cache, dim l);
  AttentionShape attention_shape(const Pass& pass, dim l) const;
  void turn_queries(const Pass& pass, dim l, float* q, dim stride);
  void attend(Pass& pass, dim l, const float* q);
  void feed_forward(Pass& pass, dim l, const float* normed);
  void add_to_residual(Pass& pass, dim l, const Linear& linear, Role role, const float* x, const Norm& post);
  void add_branch(Pass& pass, dim l, float* branch, const Norm& post);
  // An ordinary feed-forward network, dense or one expert's, up to its last product: act(gate) * up, (n, width).
  struct Gated {
    const Linear &gate, &up;
    Role gate_role, up_role;
    const float* x;  // (n, hidden)
    dim n, width, expert = -1;
  };
  const float* gated(const Gated& call, dim layer, LinearObserver* observer);
  void turn_active(float* active, dim n, dim width) const;  // (n, width), for Config::rotated_down
  void use_experts(Pass& pass, dim l, const float* normed);
  void add_experts(Pass& pass, dim l, const float* normed, float* sum);
  void add_shared_expert(Pass& pass, dim l, const float* normed, float* sum);
  void keep_wanted(Pass& pass, float* rows, dim width);
  bool slides(dim layer) const;
  const RopeTable& rope_of(dim layer) const;

  Network net_;
  const Config& config_;
  dim q_width_, kv_width_, max_rows_;
  Buffer x_, normed_, normed_ffn_, q_, k_, v_, attended_, branch_, gate_, up_, active_;
  Buffer heads_;                         // a row's heads on their way to another order
  Buffer routed_, picked_, expert_out_;  // with experts: router logits; rows of one expert, in and out
  Routing routing_;
  LinearWorkspace linear_;
  PanelWorkspace panel_;
  std::vector<PanelProduct> panel_products_;
  Attention attention_;
  RopeTable rope_, sliding_rope_;
  std::vector<QueryRun> queries_;
  // With an encoded cache.
  KvAttention kv_attention_;
  std::vector<KvQueryRun> kv_queries_;
  Buffer kv_block_;
  Buffer latent_,
      expanded_;  // some positions' latents; one layer's keys and values, (2, kv_heads, positions, head_dim)
  Buffer inner_;  // what inner factors give
  std::vector<dim> inner_at_;                  // where in it each product's begins
  RopeTable every_rope_, every_sliding_rope_;  // all positions up to rope_capacity_
  dim rope_capacity_ = 0;
};

ActivationKernel activation_kernel(Activation a);

// Error(input) unless each matrix has the shape that the choices ask for.
void check_network(const Network& network);

}  // namespace pith
