#include "ops/attention_backward.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "ops/attention_lanes.h"
#include "ops/parts.h"

namespace pith {

namespace {

struct Scratch {
  float* queries;     // (head_dim, 16), scaled
  float* douts;       // (head_dim, 16)
  float* query_rows;  // the same two as groups of 16 columns, each (16 lanes, 16)
  float* dout_rows;
  float* dqueries;  // (head_dim, 16)
  float* p;         // (keys, 16): scores, then probabilities
  float* dp;        // (keys, 16): their gradients, then those of the scores
  float* capped;    // (keys, 16): scores after a soft cap
};

dim groups_of(dim head_dim) { return (head_dim + kGemmWidth - 1) / kGemmWidth; }
dim scratch_values(const AttentionShape& s, dim longest) {
  return kLanes * (3 * s.head_dim + 2 * groups_of(s.head_dim) * kGemmWidth + (s.softcap > 0 ? 3 : 2) * longest);
}
Scratch scratch_at(float* at, const AttentionShape& s, dim longest) {
  const dim column = s.head_dim * kLanes, rows = groups_of(s.head_dim) * kGemmWidth * kLanes;
  Scratch out;
  out.queries = at;
  out.douts = out.queries + column;
  out.dqueries = out.douts + column;
  out.query_rows = out.dqueries + column;
  out.dout_rows = out.query_rows + rows;
  out.p = out.dout_rows + rows;
  out.dp = out.p + longest * kLanes;
  out.capped = out.dp + longest * kLanes;
  return out;
}

// (head_dim, 16 lanes) to groups of 16 columns, each (16 lanes, 16); columns beyond the end are 0.
void turn(const float* columns, dim head_dim, float* groups) {
  for (dim g = 0; g < groups_of(head_dim); ++g)
    for (dim lane = 0; lane < kLanes; ++lane)
      for (dim i = 0; i < kGemmWidth; ++i) {
        const dim d = g * kGemmWidth + i;
        groups[(g * kLanes + lane) * kGemmWidth + i] = d < head_dim ? columns[d * kLanes + lane] : 0;
      }
}

// One sequence and one key-value head, with the queries that share it.
class Head {
 public:
  Head(const AttentionShape& shape, const SequenceRows& sequence, dim kv_head, const AttentionBackwardCall& call,
       const Scratch& scratch)
      : s_(shape), run_(sequence), kv_head_(kv_head), c_(call), t_(scratch), q_shape_(shape) {
    q_shape_.q_stride = shape.heads * shape.head_dim;
    stride_ = shape.kv_heads * shape.head_dim;
    offset_ = sequence.row * stride_ + kv_head * shape.head_dim;
  }

  void run() {
    for (dim i = 0; i < run_.count; ++i) {
      std::fill_n(c_.dk + offset_ + i * stride_, s_.head_dim, 0.0f);
      std::fill_n(c_.dv + offset_ + i * stride_, s_.head_dim, 0.0f);
    }
    const QueryRows rows = {0, run_.count, run_.row};
    for (dim pair = 0; pair < run_.count * (s_.heads / s_.kv_heads); pair += kLanes)
      lanes(lanes_of(s_, rows, kv_head_, pair));
  }

 private:
  void lanes(const Lanes& lanes) {
    const auto [least, most] = std::minmax_element(lanes.position, lanes.position + kLanes);
    first_ = s_.window > 0 ? std::max<dim>(0, *least - s_.window + 1) : 0;
    keys_ = *most + 1 - first_;
    gather(lanes);
    probabilities(lanes);
    by_keys(c_.v, t_.douts, t_.dp);
    score_gradients();
    // dK += dS Q, dV += P dO
    add_to_keys(t_.p, t_.dout_rows, c_.dv);
    add_to_keys(t_.dp, t_.query_rows, c_.dk);
    // dQ^T = K^T dS
    gemm({.m = s_.head_dim,
          .n = kLanes,
          .k = keys_,
          .a = c_.k + offset_ + first_ * stride_,
          .a_row = 1,
          .a_col = stride_,
          .b = t_.dp,
          .c = t_.dqueries,
          .c_row = kLanes});
    float scale[kLanes];
    std::fill_n(scale, kLanes, s_.scale);
    scatter_outputs(s_, lanes, t_.dqueries, scale, c_.dq);
  }

  void gather(const Lanes& lanes) {
    gather_queries(q_shape_, lanes, c_.q, t_.queries);
    AttentionShape plain = q_shape_;
    plain.scale = 1;
    gather_queries(plain, lanes, c_.dout, t_.douts);
    for (dim i = lanes.used; i < kLanes; ++i)  // idle lanes add nothing
      for (dim d = 0; d < s_.head_dim; ++d) t_.douts[d * kLanes + i] = 0;
    turn(t_.queries, s_.head_dim, t_.query_rows);
    turn(t_.douts, s_.head_dim, t_.dout_rows);
  }

  // out (keys, 16) = X * columns, X being keys or values.
  void by_keys(const float* x, const float* columns, float* out) {
    gemm({.m = keys_,
          .n = kLanes,
          .k = s_.head_dim,
          .a = x + offset_ + first_ * stride_,
          .a_row = stride_,
          .a_col = 1,
          .b = columns,
          .c = out,
          .c_row = kLanes});
  }

  void add_to_keys(const float* columns, const float* rows, float* out) {
    gemm({.m = keys_,
          .n = s_.head_dim,
          .k = kLanes,
          .a = columns,
          .a_row = kLanes,
          .a_col = 1,
          .b = rows,
          .c = out + offset_ + first_ * stride_,
          .c_row = stride_,
          .add = true});
  }

  void probabilities(const Lanes& lanes) {
    by_keys(c_.k, t_.queries, t_.p);
    if (s_.softcap > 0) {
      std::copy_n(t_.p, keys_ * kLanes, t_.capped);
      soft_cap(t_.capped, s_.softcap, keys_ * kLanes);
    }
    float inverse_sum[kLanes];
    softmax_columns({.s = t_.p,
                     .keys = keys_,
                     .first_key = first_,
                     .position = lanes.position,
                     .window = int(s_.window),
                     .cap = s_.softcap,
                     .inverse_sum = inverse_sum});
    for (dim j = 0; j < keys_; ++j)
      for (dim i = 0; i < kLanes; ++i) t_.p[j * kLanes + i] *= inverse_sum[i];
  }

  // dS = P * (dP - sum of P * dP), times the slope of the cap.
  void score_gradients() {
    float mean[kLanes] = {};
    for (dim j = 0; j < keys_; ++j)
      for (dim i = 0; i < kLanes; ++i) mean[i] += t_.p[j * kLanes + i] * t_.dp[j * kLanes + i];
    for (dim j = 0; j < keys_; ++j)
      for (dim i = 0; i < kLanes; ++i) {
        float& d = t_.dp[j * kLanes + i];
        d = t_.p[j * kLanes + i] * (d - mean[i]);
      }
    if (s_.softcap <= 0) return;
    const float inverse = 1 / s_.softcap;
    for (dim i = 0; i < keys_ * kLanes; ++i) t_.dp[i] *= 1 - t_.capped[i] * inverse * (t_.capped[i] * inverse);
  }

  const AttentionShape& s_;
  SequenceRows run_;
  dim kv_head_;
  const AttentionBackwardCall& c_;
  Scratch t_;
  AttentionShape q_shape_;
  dim stride_ = 0, offset_ = 0;  // of keys and values
  dim first_ = 0, keys_ = 0;     // that the lanes at work see
};

}  // namespace

void AttentionBackward::run(const AttentionShape& s, std::span<const SequenceRows> sequences,
                            const AttentionBackwardCall& call) {
  PITH_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  dim longest = 0;
  for (const SequenceRows& r : sequences) longest = std::max(longest, r.count);
  const dim each = scratch_values(s, longest);
  scratch_.reserve(num_threads() * each * dim(sizeof(float)));
  const dim tasks = dim(sequences.size()) * s.kv_heads;
  parallel_parts(tasks, 1, [&](dim part, dim begin, dim end) {
    const Scratch scratch = scratch_at(scratch_.as<float>() + part * each, s, longest);
    for (dim t = begin; t < end; ++t)
      Head(s, sequences[std::size_t(t / s.kv_heads)], t % s.kv_heads, call, scratch).run();
  });
}

}  // namespace pith
