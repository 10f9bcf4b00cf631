#include "model/backward/block_backward.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/backward/block_impl.h"
#include "model/forward_layers.h"
#include "ops/act/act_rows.h"
#include "ops/gate_backward.h"
#include "ops/kv/hadamard.h"
#include "ops/parts.h"

namespace pith {

Gradient* find_gradient(BlockGradients& g, Role role) {
  switch (role) {
    case Role::attn_q:
      return &g.q;
    case Role::attn_k:
      return &g.k;
    case Role::attn_v:
      return &g.v;
    case Role::attn_qkv:
      return &g.qkv;
    case Role::attn_o:
      return &g.o;
    case Role::ffn_gate:
      return &g.gate;
    case Role::ffn_up:
      return &g.up;
    case Role::ffn_gate_up:
      return &g.gate_up;
    case Role::ffn_down:
      return &g.down;
    default:
      return nullptr;
  }
}

static const Network& without_experts(const Network& network) {
  if (network.config->experts > 0)
    throw Error(Blame::input, "gradients", "expected a model without mixtures of experts, got one",
                "choose a method that needs no gradients");
  return network;
}

BlockBackward::Impl::Impl(const Network& network, dim longest, dim most_sequences, dim slot_count)
    : slots(std::size_t(slot_count)),
      net(without_experts(network)),
      config(*network.config),
      run(network, longest, most_sequences),
      scores(config, longest),
      q_width(config.heads * config.head_dim),
      kv_width(config.kv_heads * config.head_dim) {}

void BlockBackward::Impl::forward(dim l, float* hidden, std::span<const dim> sequence_lengths, dim slot) {
  at = &slots[std::size_t(slot)];
  at->layer = layer = l;
  at->lengths.assign(sequence_lengths.begin(), sequence_lengths.end());
  n = 0;
  for (const dim length : at->lengths) n += length;
  at->rows = n;
  at->tape.begin(n, config.hidden);
  std::copy_n(hidden, n * config.hidden, reserve(at->input, n * config.hidden));
  run.run(layer, hidden, at->lengths, &at->tape);
}

// What the matrix was multiplied with: the inputs as they were rounded.
const float* BlockBackward::Impl::multiplied(const Linear& of, const Tape::Record& x, const Gradient& wanted) {
  const ActPlan* act = net.act ? net.act : of.act;
  if (!act || !act->on() || !wanted.weight || of.low_rank) return x.rows();
  float* out = reserve(rounded, n * x.cols);
  round_act_rows(*act, of.act_scale, x.rows(), n, x.cols, out);
  return out;
}

void BlockBackward::Impl::linear(const Linear& of, const Tape::Record& x, const float* dy, float* dx, bool add,
                                 Gradient wanted) {
  PITH_CHECK(x.filled == n);
  if (of.turn)
    throw Error(Blame::input, "gradients", "expected matrices that are not turned",
                "let the method that turns them come last");
  if (of.inner) return factored_linear(of, x.rows(), dy, dx, add, wanted);
  linear_backward({.weight = of.weight,
                   .x = multiplied(of, x, wanted),
                   .dy = dy,
                   .n = n,
                   .dx = dx,
                   .add = add,
                   .dweight = wanted.weight,
                   .dbias = of.bias ? wanted.bias : nullptr,
                   .squares = wanted.squares,
                   .low_rank = of.low_rank,
                   .dlow_rank_a = wanted.low_rank_a,
                   .dlow_rank_b = wanted.low_rank_b,
                   .drow_factors = wanted.row_factors},
                  linear_workspace);
}

void BlockBackward::Impl::factored_linear(const Linear& of, const float* x, const float* dy, float* dx, bool add,
                                          Gradient wanted) {
  const dim rank = weight_rows(*of.inner);
  float *between = reserve(inner, 2 * n * rank), *dbetween = between + n * rank;
  pith::linear({.weight = of.inner, .x = x, .n = n, .y = between, .y_stride = rank}, inner_workspace);
  linear_backward({.weight = of.weight,
                   .x = between,
                   .dy = dy,
                   .n = n,
                   .dx = dbetween,
                   .dweight = wanted.weight,
                   .dbias = of.bias ? wanted.bias : nullptr,
                   .squares = wanted.squares},
                  linear_workspace);
  linear_backward({.weight = of.inner, .x = x, .dy = dbetween, .n = n, .dx = dx, .add = add, .dweight = wanted.inner},
                  linear_workspace);
  if (of.low_rank)
    low_rank_backward({of.low_rank, x, dy, n, dx, wanted.low_rank_a, wanted.low_rank_b}, linear_workspace.low_rank);
}

void BlockBackward::Impl::norm_into(const Norm& norm, const float* x, const float* dy, float* dx, bool add,
                                    Gradient wanted) {
  norm_rows_backward({.x = x,
                      .n = n,
                      .cols = config.hidden,
                      .weight = norm.weight,
                      .layer_norm = config.norm == NormKind::layer,
                      .plus_one = config.norm_plus_one,
                      .eps = config.norm_eps,
                      .dy = dy,
                      .dx = dx,
                      .add = add,
                      .dweight = wanted.weight,
                      .dbias = norm.bias ? wanted.bias : nullptr},
                     norm_scratch);
}

const float* BlockBackward::Impl::branch_gradient(const float* gradient, const Norm& post, const Tape::Record& out,
                                                  Gradient wanted) {
  const bool scaled = config.residual_scale != 1;
  if (!post.weight && !scaled) return gradient;
  float* d = reserve(branch, n * config.hidden);
  if (scaled) {
    std::copy_n(gradient, n * config.hidden, d);
    multiply(d, float(config.residual_scale), n * config.hidden);
    gradient = d;
  }
  if (!post.weight) return d;
  PITH_CHECK(out.filled == n);
  if (!scaled) {
    norm_into(post, out.rows(), gradient, d, false, wanted);
    return d;
  }
  float* normed = reserve(dhead, n * config.hidden);
  norm_into(post, out.rows(), d, normed, false, wanted);
  return normed;
}

float* BlockBackward::Impl::ffn(const float* dbranch, const BlockGradients& wanted) {
  const Block& b = block();
  const dim width = config.ffn;
  const ActivationKernel kind = activation_kernel(config.activation);
  float* dx = reserve(dffn, n * config.hidden);
  float* da = reserve(dactive, n * width);
  linear(b.down, at->tape.active, dbranch, da, false, wanted.down);
  if (config.rotated_down) {
    const HeadRotation hadamard(width, 0);
    parallel_for(
        n, [&](dim i) { hadamard.backward(da + i * width, 1); }, grain_of(16 * width));
  }
  if (b.gate_up.weight) {
    const float* both = at->tape.gate_up.rows();
    float* d = reserve(dgate, n * 2 * width);
    gate_rows_backward({kind, both, both + width, n, width, 2 * width, da, d, d + width});
    linear(b.gate_up, at->tape.ffn_in, d, dx, false, wanted.gate_up);
    return dx;
  }
  float* du = reserve(dup, n * width);
  if (!config.gated) {
    gate_rows_backward({kind, at->tape.up.rows(), nullptr, n, width, width, da, du, nullptr});
  } else {
    float* dg = reserve(dgate, n * width);
    gate_rows_backward({kind, at->tape.gate.rows(), at->tape.up.rows(), n, width, width, da, dg, du});
    linear(b.gate, at->tape.ffn_in, dg, dx, false, wanted.gate);
  }
  linear(b.up, at->tape.ffn_in, du, dx, config.gated, wanted.up);
  return dx;
}

void BlockBackward::Impl::backward(float* gradient, const BlockGradients& wanted, dim slot,
                                   const AttentionSinks& sinks) {
  at = &slots[std::size_t(slot)];
  layer = at->layer;
  n = at->rows;
  const Block& b = block();
  const dim values = n * config.hidden;
  const auto join = [&](const Norm& norm, const float* x, const float* dy, Gradient of_norm) {
    if (norm.weight)
      norm_into(norm, x, dy, gradient, true, of_norm);
    else
      add(gradient, dy, values);
  };
  const float* x = at->input.as<float>();
  const float* dffn_in =
      ffn(branch_gradient(gradient, b.ffn_post_norm, at->tape.ffn_out, wanted.ffn_post_norm), wanted);
  if (config.parallel_block) {
    const float* dbranch = branch_gradient(gradient, b.attn_post_norm, at->tape.attn_out, wanted.attn_post_norm);
    float* dattn_in = attention(dbranch, wanted, sinks);
    if (b.ffn_norm.weight)
      join(b.ffn_norm, x, dffn_in, wanted.ffn_norm);
    else
      add(dattn_in, dffn_in, values);
    join(b.attn_norm, x, dattn_in, wanted.attn_norm);
  } else {
    PITH_CHECK(at->tape.middle.filled == n);
    join(b.ffn_norm, at->tape.middle.rows(), dffn_in, wanted.ffn_norm);
    const float* dbranch = branch_gradient(gradient, b.attn_post_norm, at->tape.attn_out, wanted.attn_post_norm);
    join(b.attn_norm, x, attention(dbranch, wanted, sinks), wanted.attn_norm);
  }
  if (!all_finite(gradient, values))
    throw Error(Blame::input, "gradients", fmt::format("expected finite gradients, got others in layer {}", layer),
                "a weight there is damaged, or values overflow");
}

BlockBackward::BlockBackward(const Network& network, dim max_length, dim sequences, dim slots)
    : impl_(std::make_unique<Impl>(network, max_length, sequences, slots)) {
  PITH_CHECK(slots > 0);
}
BlockBackward::~BlockBackward() = default;

void BlockBackward::forward(dim layer, float* hidden, std::span<const dim> lengths, dim slot) {
  impl_->forward(layer, hidden, lengths, slot);
}

void BlockBackward::backward(float* gradient, const BlockGradients& wanted, dim slot, const AttentionSinks& sinks) {
  impl_->backward(gradient, wanted, slot, sinks);
}

dim BlockBackward::working_bytes() const {
  const Impl& i = *impl_;
  dim sum = i.linear_workspace.size_bytes() + i.attention_backward.size_bytes();
  for (const auto& slot : i.slots) sum += slot.tape.size_bytes() + slot.input.size_bytes();
  for (const Buffer* b : {&i.branch, &i.dffn, &i.dattn, &i.dactive, &i.dgate, &i.dup, &i.q, &i.k, &i.v, &i.dq, &i.dk,
                          &i.dv, &i.dattended, &i.dqkv, &i.heads, &i.dhead})
    sum += b->size_bytes();
  return sum;
}

dim BlockBackward::slot_bytes(const Config& c, dim rows) {
  const dim heads = (2 * c.heads + 2 * c.kv_heads) * c.head_dim;
  return rows * (6 * c.hidden + heads + 3 * c.ffn) * dim(sizeof(float));
}

}  // namespace pith
