#include "ops/attention.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/gemm.h"
#include "kernels/rows.h"
#include "ops/attention_lanes.h"
#include "ops/parts.h"

namespace pith {

namespace {

struct Scratch {
  float* queries;  // (head_dim, 16)
  float* outputs;  // (head_dim, 16)
  float* scores;   // (keys, 16)
};

// Scores are formed transposed, keys x queries, so that no key or value is ever repacked: keys are the left
// operand as they lie, and out^T = V^T P reads values down their columns.
void attend(const AttentionShape& s, const QueryRun& run, dim kv_head, const Lanes& lanes, const float* q, float* out,
            const Scratch& scratch) {
  gather_queries(s, lanes, q, scratch.queries);
  const auto [least, most] = std::minmax_element(lanes.position, lanes.position + kLanes);
  const dim first = s.window > 0 ? std::max<dim>(0, *least - s.window + 1) : 0;
  const dim keys = *most + 1 - first;
  const dim offset = (kv_head * s.capacity + first) * s.head_dim;
  gemm({.m = keys,
        .n = kLanes,
        .k = s.head_dim,
        .a = run.keys + offset,
        .a_row = s.head_dim,
        .a_col = 1,
        .b = scratch.queries,
        .c = scratch.scores,
        .c_row = kLanes});
  float inverse_sum[kLanes];
  softmax_columns({.s = scratch.scores,
                   .keys = keys,
                   .first_key = first,
                   .position = lanes.position,
                   .window = int(s.window),
                   .cap = s.softcap,
                   .inverse_sum = inverse_sum});
  gemm({.m = s.head_dim,
        .n = kLanes,
        .k = keys,
        .a = run.values + offset,
        .a_row = 1,
        .a_col = s.head_dim,
        .b = scratch.scores,
        .c = scratch.outputs,
        .c_row = kLanes});
  scatter_outputs(s, lanes, scratch.outputs, inverse_sum, out);
}

}  // namespace

void Attention::list_tasks(const AttentionShape& s, std::span<const QueryRun> runs) {
  tasks_.clear();
  dim cost = 0;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (dim kv = 0; kv < s.kv_heads; ++kv)
      for (dim pair = 0; pair < runs[r].count * (s.heads / s.kv_heads); pair += kLanes) {
        tasks_.push_back({std::uint32_t(r), std::uint32_t(kv), pair, cost});
        const dim keys = runs[r].first_position + std::min(runs[r].count, pair % runs[r].count + kLanes);
        cost += 16 + (s.window > 0 ? std::min(keys, s.window + kLanes) : keys);
      }
  tasks_.push_back({0, 0, 0, cost});
}

void Attention::run(const AttentionShape& s, std::span<const QueryRun> runs, const float* q, float* out) {
  PITH_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  list_tasks(s, runs);
  dim longest = 0;
  for (const QueryRun& r : runs) longest = std::max(longest, r.first_position + r.count);
  const dim each = (2 * s.head_dim + longest) * kLanes;
  scratch_.reserve(num_threads() * each * dim(sizeof(float)));
  const dim count = dim(tasks_.size()) - 1, total = tasks_.back().cost_before;
  const dim parts = std::clamp<dim>(total / grain_of(4 * s.head_dim), 1, num_threads());
  const auto begin_of = [&](dim part) {  // equal shares of the work, which grows along a sequence
    const dim cost = total * part / parts;
    return std::lower_bound(tasks_.begin(), tasks_.begin() + count, cost,
                            [](const Task& t, dim c) { return t.cost_before < c; }) -
           tasks_.begin();
  };
  parallel_for(parts, [&](dim part) {
    float* mine = scratch_.as<float>() + part * each;
    const Scratch scratch = {mine, mine + s.head_dim * kLanes, mine + 2 * s.head_dim * kLanes};
    const dim end = part + 1 == parts ? count : begin_of(part + 1);
    for (dim i = begin_of(part); i < end; ++i) {
      const Task& t = tasks_[std::size_t(i)];
      const QueryRun& run = runs[t.run];
      attend(s, run, t.kv_head, lanes_of(s, {run.first_position, run.count, run.row}, t.kv_head, t.first_pair), q, out,
             scratch);
    }
  });
}

}  // namespace pith
