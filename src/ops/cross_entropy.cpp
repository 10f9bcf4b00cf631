#include "ops/cross_entropy.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/rows.h"
#include "ops/logsumexp.h"
#include "ops/parts.h"

namespace pith {

double cross_entropy_backward(const CrossEntropyRows& c) {
  std::vector<double> of_row(static_cast<std::size_t>(c.n));
  parallel_ranges(c.n, grain_of(16 * c.vocab), [&](dim begin, dim end) {
    for (dim i = begin; i < end; ++i) {
      float* x = c.logits + i * c.vocab;
      const dim target = c.targets[std::size_t(i)];
      const float max = scan_row(x, c.vocab).max;
      of_row[std::size_t(i)] = double(max) + std::log(sum_exp(x, c.vocab, max)) - double(x[target]);
      softmax_row(x, c.vocab);
      x[target] -= 1;
      multiply(x, float(c.weight), c.vocab);
    }
  });
  return c.weight * std::accumulate(of_row.begin(), of_row.end(), 0.0);
}

}  // namespace pith
