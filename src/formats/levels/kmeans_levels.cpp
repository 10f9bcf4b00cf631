#include "formats/levels/kmeans_levels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace pith {

namespace {

constexpr dim kMostBins = 512;
constexpr int kMostRounds = 100;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Sums over the values before each place in ascending order. Values are taken less their mean.
struct Sums {
  std::vector<double> x;                      // ascending
  std::vector<double> weight, first, second;  // n + 1 each: sums of w, w x, w x^2
  double shift = 0;

  dim size() const { return dim(x.size()); }
  double weight_of(dim begin, dim end) const { return weight[std::size_t(end)] - weight[std::size_t(begin)]; }
  double mean_of(dim begin, dim end) const {
    return (first[std::size_t(end)] - first[std::size_t(begin)]) / weight_of(begin, end);
  }
  double cost_of(dim begin, dim end) const {
    const double f = first[std::size_t(end)] - first[std::size_t(begin)];
    return std::max(0.0, second[std::size_t(end)] - second[std::size_t(begin)] - f * f / weight_of(begin, end));
  }
};

Sums sort_and_sum(const float* x, const float* w, dim n) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] < x[b] || (x[a] == x[b] && a < b); });
  Sums s;
  s.x.reserve(order.size());
  double most = 0, total = 0;
  for (dim i = 0; i < n; ++i) {
    total += double(x[i]);
    most = std::max(most, w ? double(w[i]) : 1.0);
  }
  PITH_CHECK(most > 0);
  s.shift = total / double(n);
  for (auto* sum : {&s.weight, &s.first, &s.second}) sum->assign(order.size() + 1, 0.0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double value = double(x[order[i]]) - s.shift;
    // Above 0, so that every run of values has a mean.
    const double weight = std::max(w ? double(w[order[i]]) / most : 1.0, 1e-9);
    s.x.push_back(value);
    s.weight[i + 1] = s.weight[i] + weight;
    s.first[i + 1] = s.first[i] + weight * value;
    s.second[i + 1] = s.second[i] + weight * value * value;
  }
  return s;
}

// Ends of at most kMostBins runs. Levels of the least error lie with a density of (probability density)^(1/3): runs
// with equal shares of its integral are small where it counts, and an outlier gets its own.
std::vector<dim> bin_ends(const Sums& s) {
  const dim n = s.size();
  std::vector<dim> ends;
  if (n <= kMostBins) {
    ends.resize(static_cast<std::size_t>(n));
    std::iota(ends.begin(), ends.end(), dim(1));
    return ends;
  }
  std::vector<double> integral(static_cast<std::size_t>(n), 0.0);
  for (std::size_t i = 1; i < integral.size(); ++i) {
    const double gap = s.x[i] - s.x[i - 1];
    integral[i] = integral[i - 1] + std::cbrt(s.weight_of(dim(i) - 1, dim(i)) * gap * gap);
  }
  const double share = integral.back() / double(kMostBins - 1);
  double next = share;
  for (dim i = 1; i < n; ++i) {
    if (!(integral[std::size_t(i)] >= next) || s.x[std::size_t(i)] == s.x[std::size_t(i - 1)]) continue;
    ends.push_back(i);
    next = (std::floor(integral[std::size_t(i)] / share) + 1) * share;
  }
  ends.push_back(n);
  return ends;
}

// The least cost of covering the first bins with one run more than `before` covers them with; where that run begins.
// The place moves up with the number of bins, so halves can be searched apart.
struct Layer {
  const Sums& sums;
  const std::vector<dim>& ends;
  const std::vector<double>& before;
  std::vector<double> cost;         // by number of bins
  std::vector<std::int32_t> begin;  // in bins

  dim end_of(dim bins) const { return bins == 0 ? 0 : ends[std::size_t(bins - 1)]; }

  void fill(dim low, dim high, dim from, dim to) {
    if (low > high) return;
    const dim middle = (low + high) / 2;
    double least = kInfinity;
    dim place = from;
    for (dim b = from; b <= std::min(to, middle); ++b) {
      const double at = before[std::size_t(b)] + sums.cost_of(end_of(b), end_of(middle));
      if (at < least) least = at, place = b;
    }
    cost[std::size_t(middle)] = least;
    begin[std::size_t(middle)] = std::int32_t(place);
    fill(low, middle - 1, from, place);
    fill(middle + 1, high, place, to);
  }
};

// Where each of at most k runs of bins ends, in values.
std::vector<dim> best_runs(const Sums& s, const std::vector<dim>& ends, int k) {
  const dim bins = dim(ends.size());
  std::vector<double> cost(ends.size() + 1, kInfinity);
  cost[0] = 0;
  std::vector<std::vector<std::int32_t>> begins;
  const int runs = int(std::min<dim>(k, bins));
  for (int r = 0; r < runs; ++r) {
    Layer layer{s, ends, cost, std::vector<double>(cost.size(), kInfinity), std::vector<std::int32_t>(cost.size())};
    layer.fill(r + 1, bins, r, bins - 1);
    begins.push_back(std::move(layer.begin));
    cost = std::vector<double>(std::move(layer.cost));
  }
  std::vector<dim> out(static_cast<std::size_t>(runs));
  dim at = bins;
  for (int r = runs - 1; r >= 0; --r) {
    out[std::size_t(r)] = ends[std::size_t(at - 1)];
    at = begins[std::size_t(r)][std::size_t(at)];
  }
  return out;
}

// Lloyd's iteration: each run keeps the values that are nearest to its mean.
void refine(const Sums& s, std::vector<dim>& run_ends, std::vector<double>& means) {
  const std::size_t runs = run_ends.size();
  means.resize(runs);
  for (int round = 0; round < kMostRounds; ++round) {
    dim begin = 0;
    for (std::size_t r = 0; r < runs; ++r) {
      if (run_ends[r] > begin) means[r] = s.mean_of(begin, run_ends[r]);
      begin = run_ends[r];
    }
    bool moved = false;
    for (std::size_t r = 0; r + 1 < runs; ++r) {
      const double middle = 0.5 * (means[r] + means[r + 1]);
      const dim end = std::upper_bound(s.x.begin(), s.x.end(), middle) - s.x.begin();
      moved = moved || end != run_ends[r];
      run_ends[r] = end;
    }
    if (!moved) return;
  }
}

}  // namespace

void kmeans_levels(const float* x, const float* w, dim n, int k, double* levels) {
  PITH_CHECK(n > 0 && n <= std::numeric_limits<std::int32_t>::max() && k >= 1 && k <= 256);
  const Sums s = sort_and_sum(x, w, n);
  std::vector<dim> run_ends = best_runs(s, bin_ends(s), k);
  std::vector<double> means;
  refine(s, run_ends, means);
  std::sort(means.begin(), means.end());
  for (int i = 0; i < k; ++i) levels[i] = means[std::min(std::size_t(i), means.size() - 1)] + s.shift;
}

}  // namespace pith
