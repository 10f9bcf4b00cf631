// Sixteen (head, query) pairs that share a key-value head, worked on at once, one per lane.
#pragma once
#include <algorithm>

#include "kernels/gemm.h"
#include "ops/attention.h"

namespace pith {

inline constexpr dim kLanes = kGemmWidth;

struct Lanes {
  dim head[kLanes];  // of all heads
  dim row[kLanes];   // of q and out
  int position[kLanes];
  dim used = 0;
};

struct QueryRows {  // as in QueryRun
  dim first_position, count, row;
};

// Pairs are counted head by head.
inline Lanes lanes_of(const AttentionShape& s, const QueryRows& run, dim kv_head, dim first_pair) {
  const dim group = s.heads / s.kv_heads;
  Lanes lanes;
  lanes.used = std::min(kLanes, run.count * group - first_pair);
  for (dim i = 0; i < kLanes; ++i) {
    const dim pair = first_pair + std::min(i, lanes.used - 1);  // idle lanes repeat the last
    lanes.head[i] = kv_head * group + pair / run.count;
    lanes.row[i] = run.row + pair % run.count;
    lanes.position[i] = int(run.first_position + pair % run.count);
  }
  return lanes;
}

// to: (head_dim, 16), scaled.
inline void gather_queries(const AttentionShape& s, const Lanes& lanes, const float* q, float* to) {
  for (dim i = 0; i < kLanes; ++i) {
    const float* from = q + lanes.row[i] * s.q_stride + lanes.head[i] * s.head_dim;
    for (dim d = 0; d < s.head_dim; ++d) to[d * kLanes + i] = from[d] * s.scale;
  }
}

// from: (head_dim, 16); out: (rows, heads * head_dim).
inline void scatter_outputs(const AttentionShape& s, const Lanes& lanes, const float* from, const float* factor,
                            float* out) {
  for (dim i = 0; i < lanes.used; ++i) {
    float* to = out + lanes.row[i] * s.heads * s.head_dim + lanes.head[i] * s.head_dim;
    for (dim d = 0; d < s.head_dim; ++d) to[d] = from[d * kLanes + i] * factor[i];
  }
}

}  // namespace pith
