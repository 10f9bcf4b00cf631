#include "train/losses/map_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

float dot(const float* a, const float* b, dim n) {
  float lanes[8] = {};
  dim i = 0;
  for (; i + 8 <= n; i += 8)
    for (dim k = 0; k < 8; ++k) lanes[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) lanes[0] += a[i] * b[i];
  return std::accumulate(lanes, lanes + 8, 0.0f);
}

dim first_seen(const MapSide& side, dim i) { return side.window > 0 ? std::max<dim>(0, i - side.window + 1) : 0; }

// Logarithms of token i's map; slopes: of each score by its product, before the scale.
void log_map(const MapSide& side, dim i, float* out, float* slopes) {
  const dim first = first_seen(side, i);
  float max = -INFINITY;
  for (dim j = first; j <= i; ++j) {
    float score = side.scale * dot(side.q + i * side.q_stride, side.k + j * side.k_stride, side.width);
    float slope = 1;
    if (side.softcap > 0) {
      const float bent = std::tanh(score / side.softcap);
      score = side.softcap * bent;
      slope = 1 - bent * bent;
    }
    out[j] = score;
    slopes[j] = slope;
    max = std::max(max, score);
  }
  double sum = 0;
  for (dim j = first; j <= i; ++j) sum += double(std::exp(out[j] - max));
  const auto rest = float(double(max) + std::log(sum));
  for (dim j = first; j <= i; ++j) out[j] -= rest;
}

// Of one head.
MapSide side_of(const ScoreRows& rows, dim first_row, dim head) {
  const AttentionShape& s = rows.shape;
  MapSide side = {.q_stride = s.heads * s.head_dim,
                  .k_stride = s.kv_heads * s.head_dim,
                  .width = s.head_dim,
                  .scale = s.scale,
                  .softcap = s.softcap,
                  .window = s.window};
  const dim q_at = first_row * side.q_stride + head * s.head_dim,
            k_at = first_row * side.k_stride + head / (s.heads / s.kv_heads) * s.head_dim;
  side.q = rows.q + q_at;
  side.k = rows.k + k_at;
  if (rows.dq) side.dq = rows.dq + q_at;
  if (rows.dk) side.dk = rows.dk + k_at;
  return side;
}

}  // namespace

double map_divergence(const MapSide& student, const MapSide& teacher, dim n, double weight) {
  PITH_CHECK(student.window == teacher.window);
  std::vector<float> all(std::size_t(4 * n));
  float *log_p = all.data(), *log_q = log_p + n, *slopes = log_q + n, *ignored = slopes + n;
  double sum = 0;
  for (dim i = 1; i < n; ++i) {  // the first has itself alone
    log_map(teacher, i, log_p, ignored);
    log_map(student, i, log_q, slopes);
    for (dim j = first_seen(student, i); j <= i; ++j) {
      const float p = std::exp(log_p[j]);
      sum += double(p * (log_p[j] - log_q[j]));
      const auto slope = float(weight * double(student.scale * slopes[j]) * double(std::exp(log_q[j]) - p));
      const float *q = student.q + i * student.q_stride, *k = student.k + j * student.k_stride;
      float *dq = student.dq + i * student.q_stride, *dk = student.dk + j * student.k_stride;
      for (dim c = 0; c < student.width; ++c) dq[c] += slope * k[c];
      for (dim c = 0; c < student.width; ++c) dk[c] += slope * q[c];
    }
  }
  return sum;
}

double attention_map_loss(const ScoreRows& student, const ScoreRows& teacher, double weight) {
  const AttentionShape& s = student.shape;
  PITH_CHECK(s.heads == teacher.shape.heads);
  const auto sequences = dim(student.lengths.size());
  std::vector<dim> first(student.lengths.size() + 1, 0);
  std::partial_sum(student.lengths.begin(), student.lengths.end(), first.begin() + 1);
  const double each = weight / double(std::max<dim>(1, first.back() * s.heads));
  const dim group = s.heads / s.kv_heads;  // heads that add to the same gradient
  std::vector<double> sums(std::size_t(sequences * s.kv_heads));
  parallel_for(dim(sums.size()), [&](dim part) {
    const auto sequence = std::size_t(part / s.kv_heads);
    for (dim h = part % s.kv_heads * group; h < (part % s.kv_heads + 1) * group; ++h)
      sums[std::size_t(part)] += map_divergence(side_of(student, first[sequence], h),
                                                side_of(teacher, first[sequence], h), student.lengths[sequence], each);
  });
  return each * std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace pith
