#include "train/losses/relation_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/parallel.h"
#include "train/losses/map_rows.h"

namespace pith {

namespace {

// A part of a sequence's rows, related to itself.
MapSide side_of(const float* x, float* gradient, dim stride, dim width) {
  return {.q = x,
          .k = x,
          .q_stride = stride,
          .k_stride = stride,
          .width = width,
          .scale = float(1 / std::sqrt(double(width))),
          .dq = gradient,
          .dk = gradient};
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
    const float *x = r.x + at * r.width + h * mine, *teacher = r.teacher + at * r.teacher_width + h * theirs;
    sums[std::size_t(part)] = map_divergence(side_of(x, r.gradient + at * r.width + h * mine, r.width, mine),
                                             side_of(teacher, nullptr, r.teacher_width, theirs), r.lengths[s], each);
  });
  return each * std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace pith
