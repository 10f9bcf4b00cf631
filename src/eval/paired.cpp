#include "eval/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "eval/statistics.h"

namespace pith {
namespace {

constexpr std::size_t kAllSigns = 12;  // windows up to which every pattern of signs is tried

// Sums that differ by rounding alone count as equal, else the observed pattern might not reach itself.
double p_of_signs(std::span<const double> d, double observed, std::uint64_t seed, dim samples) {
  double scale = 0;
  for (const double x : d) scale += std::fabs(x);
  const double reach = std::fabs(observed) - 1e-12 * scale;
  const bool all = d.size() <= kAllSigns;
  const dim patterns = all ? dim(1) << d.size() : samples;
  Rng rng(seed);
  dim extreme = all ? 0 : 1;  // what was observed is one of the drawn
  for (dim k = 0; k < patterns; ++k) {
    double sum = 0;
    std::uint64_t bits = std::uint64_t(k);
    for (std::size_t w = 0; w < d.size(); ++w, bits >>= 1) {
      if (!all && w % 64 == 0) bits = rng.next();
      sum += (bits & 1) != 0 ? -d[w] : d[w];
    }
    if (std::fabs(sum) >= reach) ++extreme;
  }
  return std::min(1.0, double(extreme) / double(patterns + (all ? 0 : 1)));
}

}  // namespace

PairedTest paired_test(std::span<const double> d, std::span<const dim> tokens, std::uint64_t seed, dim samples) {
  PITH_CHECK(d.size() == tokens.size() && !d.empty() && samples >= 100);
  const double sum = std::accumulate(d.begin(), d.end(), 0.0);
  const auto count = std::accumulate(tokens.begin(), tokens.end(), dim(0));
  PairedTest test{.difference = sum / double(count), .windows = dim(d.size())};
  if (d.size() < 2) {
    test.high = std::numeric_limits<double>::infinity();
    test.low = -test.high;
    return test;
  }
  Rng rng(seed);
  std::vector<double> means;
  for (dim s = 0; s < samples; ++s) {
    double drawn = 0;
    dim drawn_tokens = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      const auto w = std::size_t(rng.below(dim(d.size())));
      drawn += d[w];
      drawn_tokens += tokens[w];
    }
    means.push_back(drawn / double(drawn_tokens));
  }
  std::sort(means.begin(), means.end());
  test.low = quantile_of_sorted(means, 0.025);
  test.high = quantile_of_sorted(means, 0.975);
  test.p_value = p_of_signs(d, sum, seed + 1, samples);
  return test;
}

std::vector<double> holm_adjusted(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double most = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    most = std::max(most, std::min(1.0, double(order.size() - i) * p[order[i]]));
    adjusted[order[i]] = most;
  }
  return adjusted;
}

}  // namespace pith
