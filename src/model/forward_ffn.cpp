// The feed-forward networks of a block, and what joins the residual stream.
#include <cstring>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/forward_layers.h"
#include "model/forward_reserve.h"
#include "ops/gate.h"
#include "ops/kv/hadamard.h"
#include "ops/parts.h"

namespace pith {

ActivationKernel activation_kernel(Activation a) {
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

void Layers::add_to_residual(Pass& pass, dim l, const Linear& linear, Role role, const float* x, const Norm& post) {
  float* residual = x_.as<float>();
  if (!post.weight && config_.residual_scale == 1) {
    multiply({&linear, role, x, pass.rows, residual, 0, true}, l, pass.observer);
    return;
  }
  float* branch = reserve(branch_, pass.rows * config_.hidden);
  multiply({&linear, role, x, pass.rows, branch}, l, pass.observer);
  add_branch(pass, l, branch, post);
}

void Layers::add_branch(Pass& pass, dim l, float* branch, const Norm& post) {
  if (post.weight) normalize(post, branch, pass.rows, branch, l, "in");
  float* residual = x_.as<float>();
  parallel_ranges(pass.rows, grain_of(config_.hidden), [&](dim begin, dim end) {
    add_scaled(residual + begin * config_.hidden, branch + begin * config_.hidden, float(config_.residual_scale),
               (end - begin) * config_.hidden);
  });
}

const float* Layers::gated(const Gated& c, dim layer, LinearObserver* observer) {
  float* up = reserve(up_, c.n * c.width);
  float* gate = config_.gated ? reserve(gate_, c.n * c.width) : nullptr;
  const Product products[] = {
      {.linear = &c.up, .role = c.up_role, .x = c.x, .n = c.n, .y = up, .expert = c.expert},
      {.linear = &c.gate, .role = c.gate_role, .x = c.x, .n = c.n, .y = gate, .expert = c.expert}};
  multiply(std::span(products, gate ? 2 : 1), layer, observer);
  GateRows rows = {.kind = activation_kernel(config_.activation),
                   .gate = up,
                   .n = c.n,
                   .cols = c.width,
                   .stride = c.width,
                   .out = up};
  if (gate) {
    rows.gate = gate;
    rows.up = up;
  }
  gate_rows(rows);
  turn_active(up, c.n, c.width);
  return up;
}

void Layers::turn_active(float* active, dim n, dim width) const {
  if (!config_.rotated_down) return;
  const HeadRotation hadamard(width, 0);
  parallel_for(
      n, [&](dim i) { hadamard.forward(active + i * width, 1); }, grain_of(16 * width));
}

void Layers::feed_forward(Pass& pass, dim l, const float* normed) {
  const Block& b = net_.blocks[std::size_t(l)];
  const dim n = pass.rows, width = config_.ffn;
  if (config_.experts > 0) return use_experts(pass, l, normed);
  const float* active = nullptr;
  if (b.gate_up.weight) {
    float* both = reserve(gate_, n * 2 * width);
    multiply({&b.gate_up, Role::ffn_gate_up, normed, n, both}, l, pass.observer);
    float* out = reserve(active_, n * width);
    gate_rows({activation_kernel(config_.activation), both, both + width, n, width, 2 * width, out});
    turn_active(out, n, width);
    active = out;
  } else {
    active = gated({b.gate, b.up, Role::ffn_gate, Role::ffn_up, normed, n, width}, l, pass.observer);
  }
  add_to_residual(pass, l, b.down, Role::ffn_down, active, b.ffn_post_norm);
}

// Each token's share of its experts, and of the one that all see.
void Layers::use_experts(Pass& pass, dim l, const float* normed) {
  const Block& b = net_.blocks[std::size_t(l)];
  const dim values = pass.rows * config_.hidden;
  float* sum = reserve(branch_, values);
  std::memset(sum, 0, std::size_t(values) * sizeof(float));
  add_experts(pass, l, normed, sum);
  if (b.shared.up.weight) add_shared_expert(pass, l, normed, sum);
  add_branch(pass, l, sum, b.ffn_post_norm);
}

void Layers::add_experts(Pass& pass, dim l, const float* normed, float* sum) {
  const Block& b = net_.blocks[std::size_t(l)];
  const dim n = pass.rows, hidden = config_.hidden, experts = config_.experts;
  float* logits = reserve(routed_, n * experts);
  multiply({&b.router, Role::router, normed, n, logits}, l, pass.observer);
  if (!all_finite(logits, n * experts))
    throw Error(Blame::input, "forward",
                fmt::format("expected finite activations, got others in the router of layer {}", l),
                "a weight there is damaged, or values overflow");
  route(logits, n, experts, config_.experts_used, config_.norm_expert_weights, routing_);
  for (dim e = 0; e < experts; ++e) {
    const std::span<const dim> rows = routing_.rows_of(e);
    const dim count = dim(rows.size());
    if (count == 0) continue;
    float* picked = reserve(picked_, count * hidden);
    gather_rows(normed, rows, hidden, picked);
    const Expert& expert = b.experts[std::size_t(e)];
    const float* active =
        gated({expert.gate, expert.up, Role::expert_gate, Role::expert_up, picked, count, config_.expert_ffn, e}, l,
              pass.observer);
    float* out = reserve(expert_out_, count * hidden);
    multiply({.linear = &expert.down, .role = Role::expert_down, .x = active, .n = count, .y = out, .expert = e}, l,
             pass.observer);
    add_weighted_rows(out, rows, routing_.weights_of(e), hidden, sum);
  }
}

void Layers::add_shared_expert(Pass& pass, dim l, const float* normed, float* sum) {
  const Block& b = net_.blocks[std::size_t(l)];
  const dim n = pass.rows;
  routing_.all(n);
  if (b.shared_router.weight) {
    float* logits = reserve(routed_, n);
    multiply({&b.shared_router, Role::shared_router, normed, n, logits}, l, pass.observer);
    for (dim i = 0; i < n; ++i) routing_.weight[std::size_t(i)] = sigmoid(logits[i]);
  }
  const float* active =
      gated({b.shared.gate, b.shared.up, Role::shared_gate, Role::shared_up, normed, n, config_.shared_ffn}, l,
            pass.observer);
  float* out = reserve(expert_out_, n * config_.hidden);
  multiply({&b.shared.down, Role::shared_down, active, n, out}, l, pass.observer);
  add_weighted_rows(out, routing_.row, routing_.weight, config_.hidden, sum);
}

}  // namespace pith
