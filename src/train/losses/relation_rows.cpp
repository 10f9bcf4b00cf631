#include "train/losses/relation_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/parallel.h"

namespace pith {

namespace {

// A part of a sequence's rows.
struct Part {
  const float* x;
  dim stride, width;
  const float* row(dim i) const { return x + i * stride; }
};

float dot(const float* a, const float* b, dim n) {
  float lanes[8] = {};
  dim i = 0;
  for (; i + 8 <= n; i += 8)
    for (dim k = 0; k < 8; ++k) lanes[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) lanes[0] += a[i] * b[i];
  return std::accumulate(lanes, lanes + 8, 0.0f);
}

// ln of the relation of token i to tokens 0 ... i.
void log_relation(const Part& a, dim i, float* out) {
  const auto factor = float(1 / std::sqrt(double(a.width)));
  float max = -INFINITY;
  for (dim j = 0; j <= i; ++j) {
    out[j] = factor * dot(a.row(i), a.row(j), a.width);
    max = std::max(max, out[j]);
  }
  double sum = 0;
  for (dim j = 0; j <= i; ++j) sum += double(std::exp(out[j] - max));
  const auto rest = float(double(max) + std::log(sum));
  for (dim j = 0; j <= i; ++j) out[j] -= rest;
}

// The sum over the tokens of one part; gradient: of the part, rows `stride` apart, gets `weight` times theirs.
double of_part(const Part& a, const Part& teacher, dim n, double weight, float* gradient) {
  std::vector<float> log_p(static_cast<std::size_t>(n)), log_q(log_p);
  const double factor = weight / std::sqrt(double(a.width));
  double sum = 0;
  for (dim i = 1; i < n; ++i) {  // the first relates to itself alone
    log_relation(teacher, i, log_p.data());
    log_relation(a, i, log_q.data());
    for (dim j = 0; j <= i; ++j) {
      const auto at = std::size_t(j);
      const float p = std::exp(log_p[at]);
      sum += double(p * (log_p[at] - log_q[at]));
      const auto slope = float(factor * double(std::exp(log_q[at]) - p));  // of the product A_i A_j
      float *to_i = gradient + i * a.stride, *to_j = gradient + j * a.stride;
      for (dim c = 0; c < a.width; ++c) to_i[c] += slope * a.row(j)[c];
      for (dim c = 0; c < a.width; ++c) to_j[c] += slope * a.row(i)[c];
    }
  }
  return sum;
}

}  // namespace

double relation_loss(const RelationRows& r, double weight) {
  const auto sequences = dim(r.lengths.size());
  std::vector<dim> first(r.lengths.size() + 1, 0);
  std::partial_sum(r.lengths.begin(), r.lengths.end(), first.begin() + 1);
  const dim mine = r.width / r.heads, theirs = r.teacher_width / r.heads;
  const double each = weight / double(std::max<dim>(1, first.back() * r.heads));
  std::vector<double> sums(std::size_t(sequences * r.heads));
  parallel_for(dim(sums.size()), [&](dim part) {
    const auto s = std::size_t(part / r.heads);
    const dim h = part % r.heads, at = first[s];
    sums[std::size_t(part)] = of_part({r.x + at * r.width + h * mine, r.width, mine},
                                      {r.teacher + at * r.teacher_width + h * theirs, r.teacher_width, theirs},
                                      r.lengths[s], each, r.gradient + at * r.width + h * mine);
  });
  return each * std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace pith
