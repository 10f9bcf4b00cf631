// What losses of rows of logits have in common.
#pragma once
#include <functional>
#include <numeric>
#include <vector>

#include "ops/parts.h"

namespace pith {

// out = ln softmax(x / temperature); may be x.
void log_softmax(const float* x, dim n, double temperature, float* out);

// z's cross-entropy with the target, in nats; gradient = share * (softmax - onehot) of all n; may be z.
double cross_entropy_row(const float* z, dim n, dim target, double share, float* gradient);

void check_temperature(double temperature);  // Error(input)

// The weighted sum of of_row(row, memory of one thread), added up in the rows' order. values: touched in a row, about.
template <class Scratch>
double over_rows(dim n, dim values, double weight, const std::function<double(dim, Scratch&)>& of_row) {
  std::vector<double> all(static_cast<std::size_t>(n));
  parallel_parts(n, grain_of(32 * values), [&](dim, dim begin, dim end) {
    Scratch scratch;
    for (dim i = begin; i < end; ++i) all[std::size_t(i)] = of_row(i, scratch);
  });
  return weight * std::accumulate(all.begin(), all.end(), 0.0);
}

}  // namespace pith
