// The attention half of a block, backwards.
#include <algorithm>

#include "model/backward/block_impl.h"
#include "ops/heads.h"
#include "ops/parts.h"

namespace pith {

void BlockBackward::Impl::from_scores(const float* raw, float* gradient, dim count, const Norm& norm, Gradient wanted) {
  const dim width = count * config.head_dim;
  scores.turn_back(gradient, n, count);
  if (!norm.weight) return;
  NormRowsBackward call = {.x = raw,
                           .n = n * count,
                           .cols = config.head_dim,
                           .weight = norm.weight,
                           .layer_norm = config.norm == NormKind::layer,
                           .plus_one = config.norm_plus_one,
                           .eps = config.norm_eps,
                           .dy = gradient,
                           .dx = reserve(dhead, n * width),
                           .dweight = wanted.weight,
                           .dbias = norm.bias ? wanted.bias : nullptr};
  if (config.head_norms == HeadNorms::shared) {
    norm_rows_backward(call, norm_scratch);
  } else if (config.head_norms == HeadNorms::whole) {
    call.n = n;
    call.cols = width;
    norm_rows_backward(call, norm_scratch);
  } else {
    each_head_norm(call, count);
  }
  std::copy_n(call.dx, n * width, gradient);
}

// A weight of its own for each head: heads one after another, their rows brought together.
void BlockBackward::Impl::each_head_norm(const NormRowsBackward& all, dim count) {
  const dim d = config.head_dim;
  float* x = reserve(heads, 3 * n * d);
  float *dy = x + n * d, *dx = dy + n * d;
  for (dim h = 0; h < count; ++h) {
    for (dim i = 0; i < n; ++i) {
      std::copy_n(all.x + (i * count + h) * d, d, x + i * d);
      std::copy_n(all.dy + (i * count + h) * d, d, dy + i * d);
    }
    NormRowsBackward call = all;
    call.x = x;
    call.n = n;
    call.weight = all.weight + h * d;
    call.dy = dy;
    call.dx = dx;
    if (all.dweight) call.dweight = all.dweight + h * d;
    if (all.dbias) call.dbias = all.dbias + h * d;
    norm_rows_backward(call, norm_scratch);
    for (dim i = 0; i < n; ++i) std::copy_n(dx + i * d, d, all.dx + (i * count + h) * d);
  }
}

// The tape's raw queries, keys and values as dense rows, (n, q_width) or (n, kv_width), which may then be changed.
void BlockBackward::Impl::copy_heads() {
  float *to_q = reserve(q, n * q_width), *to_k = reserve(k, n * kv_width), *to_v = reserve(v, n * kv_width);
  if (!block().qkv.weight) {
    std::copy_n(at->tape.q.rows(), n * q_width, to_q);
    std::copy_n(at->tape.k.rows(), n * kv_width, to_k);
    std::copy_n(at->tape.v.rows(), n * kv_width, to_v);
    return;
  }
  const dim width = q_width + 2 * kv_width;
  if (config.qkv_order == QkvOrder::by_head)
    stack_qkv({at->tape.qkv.rows(), n, config.kv_heads, config.heads / config.kv_heads, config.head_dim}, heads);
  for (dim i = 0; i < n; ++i) {
    const float* row = at->tape.qkv.rows() + i * width;
    std::copy_n(row, q_width, to_q + i * q_width);
    std::copy_n(row + q_width, kv_width, to_k + i * kv_width);
    std::copy_n(row + q_width + kv_width, kv_width, to_v + i * kv_width);
  }
}

float* BlockBackward::Impl::attention(const float* dbranch, const BlockGradients& wanted, const AttentionSinks& sinks) {
  const Block& b = block();
  float* dout = reserve(dattended, n * q_width);
  linear(b.o, at->tape.attended, dbranch, dout, false, wanted.o);

  scores.begin(layer, at->lengths);
  copy_heads();
  const auto copy_if = [&](bool wanted_again, const Buffer& rows, dim width) {
    const auto* from = rows.as<float>();
    return wanted_again ? std::vector<float>(from, from + n * width) : std::vector<float>();
  };
  const std::vector<float> raw_q = copy_if(b.q_norm.weight || sinks.heads, q, q_width),
                           raw_k = copy_if(b.k_norm.weight || sinks.heads, k, kv_width);
  scores.to_scores(q.as<float>(), n, config.heads, b.q_norm);
  scores.to_scores(k.as<float>(), n, config.kv_heads, b.k_norm);
  std::vector<SequenceRows> sequences;
  dim row = 0;
  for (const dim length : at->lengths) {
    sequences.push_back({row, length});
    row += length;
  }
  float *q_gradient = reserve(dq, n * q_width), *k_gradient = reserve(dk, n * kv_width),
        *v_gradient = reserve(dv, n * kv_width);
  attention_backward.run(scores.shape(), sequences,
                         {q.as<float>(), k.as<float>(), v.as<float>(), dout, q_gradient, k_gradient, v_gradient});
  if (sinks.scores) sinks.scores({q.as<float>(), k.as<float>(), q_gradient, k_gradient, scores.shape(), at->lengths});
  from_scores(raw_q.data(), q_gradient, config.heads, b.q_norm, wanted.q_norm);
  from_scores(raw_k.data(), k_gradient, config.kv_heads, b.k_norm, wanted.k_norm);
  if (sinks.heads)
    sinks.heads({raw_q.data(), raw_k.data(), v.as<float>(), q_gradient, k_gradient, v_gradient, q_width, kv_width,
                 at->lengths});
  return input_of_heads(q_gradient, k_gradient, v_gradient, wanted);
}

float* BlockBackward::Impl::input_of_heads(const float* dq_rows, const float* dk_rows, const float* dv_rows,
                                           const BlockGradients& wanted) {
  const Block& b = block();
  float* dx = reserve(dattn, n * config.hidden);
  if (!b.qkv.weight) {
    linear(b.q, at->tape.attn_in, dq_rows, dx, false, wanted.q);
    linear(b.k, at->tape.attn_in, dk_rows, dx, true, wanted.k);
    linear(b.v, at->tape.attn_in, dv_rows, dx, true, wanted.v);
    return dx;
  }
  const dim width = q_width + 2 * kv_width;
  float* all = reserve(dqkv, n * width);
  for (dim i = 0; i < n; ++i) {
    float* to = all + i * width;
    std::copy_n(dq_rows + i * q_width, q_width, to);
    std::copy_n(dk_rows + i * kv_width, kv_width, to + q_width);
    std::copy_n(dv_rows + i * kv_width, kv_width, to + q_width + kv_width);
  }
  if (config.qkv_order == QkvOrder::by_head)
    unstack_qkv({all, n, config.kv_heads, config.heads / config.kv_heads, config.head_dim}, heads);
  linear(b.qkv, at->tape.attn_in, all, dx, false, wanted.qkv);
  return dx;
}

}  // namespace pith
