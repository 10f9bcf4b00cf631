#include "ops/moe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/rows.h"
#include "ops/parts.h"

namespace pith {

namespace {

// The winners of one row, ascending, and their weights.
void choose(float* logits, dim experts, dim used, bool normalize, dim* winners, float* weights) {
  std::vector<dim> order(static_cast<std::size_t>(experts));
  std::iota(order.begin(), order.end(), dim(0));
  std::partial_sort(order.begin(), order.begin() + used, order.end(),
                    [&](dim a, dim b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
  std::sort(order.begin(), order.begin() + used);
  softmax_row(logits, experts);
  float sum = 0;
  for (dim j = 0; j < used; ++j) {
    winners[j] = order[std::size_t(j)];
    weights[j] = logits[winners[j]];
    sum += weights[j];
  }
  for (dim j = 0; normalize && j < used; ++j) weights[j] /= sum;
}

}  // namespace

void Routing::all(dim n) {
  first = {0, n};
  row.resize(std::size_t(n));
  std::iota(row.begin(), row.end(), dim(0));
  weight.assign(std::size_t(n), 1.0f);
}

void route(float* logits, dim n, dim experts, dim used, bool normalize, Routing& out) {
  std::vector<dim> winners(static_cast<std::size_t>(n * used));
  std::vector<float> weights(winners.size());
  parallel_ranges(n, grain_of(16 * experts), [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i)
      choose(logits + i * experts, experts, used, normalize, winners.data() + i * used, weights.data() + i * used);
  });
  out.first.assign(std::size_t(experts + 1), 0);
  for (const dim e : winners) ++out.first[std::size_t(e + 1)];
  std::partial_sum(out.first.begin(), out.first.end(), out.first.begin());
  std::vector<dim> next(out.first.begin(), out.first.end() - 1);
  out.row.resize(winners.size());
  out.weight.resize(winners.size());
  for (std::size_t i = 0; i < winners.size(); ++i) {
    const auto at = std::size_t(next[std::size_t(winners[i])]++);
    out.row[at] = dim(i) / used;
    out.weight[at] = weights[i];
  }
}

void gather_rows(const float* x, std::span<const dim> rows, dim width, float* out) {
  parallel_for(
      dim(rows.size()), [&](dim i) { std::copy_n(x + rows[std::size_t(i)] * width, width, out + i * width); },
      grain_of(width));
}

void add_weighted_rows(const float* y, std::span<const dim> rows, std::span<const float> weights, dim width,
                       float* out) {
  parallel_for(
      dim(rows.size()),
      [&](dim i) { add_scaled(out + rows[std::size_t(i)] * width, y + i * width, weights[std::size_t(i)], width); },
      grain_of(width));
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace pith
