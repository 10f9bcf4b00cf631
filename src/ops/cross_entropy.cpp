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
    std::vector<float> capped(std::size_t(c.cap > 0 ? c.vocab : 0));
    for (dim i = begin; i < end; ++i) {
      float* x = c.logits + i * c.vocab;
      const dim target = c.targets[std::size_t(i)];
      std::copy_n(x, capped.size(), capped.data());
      const float max = scan_row(x, c.vocab).max;
      of_row[std::size_t(i)] = double(max) + std::log(sum_exp(x, c.vocab, max)) - double(x[target]);
      softmax_row(x, c.vocab);
      x[target] -= 1;
      multiply(x, float(c.weight * double(c.multiplier)), c.vocab);
      for (std::size_t v = 0; v < capped.size(); ++v) x[v] *= 1 - capped[v] / c.cap * (capped[v] / c.cap);
    }
  });
  return c.weight * std::accumulate(of_row.begin(), of_row.end(), 0.0);
}

}  // namespace pith
