#include "compress/prune/channel_groups.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "math/assignment.h"

namespace pith {

namespace {

constexpr dim kRowsAtOnce = 256;     // whose scores are summed in f32
constexpr double kLeastGain = 1e-4;  // of a round that is followed by another

std::vector<dim> dealt(const ColumnScores& s, GroupPattern p) {
  std::vector<double> total(static_cast<std::size_t>(s.cols));
  for (std::size_t i = 0; i < s.values.size(); ++i) total[i % total.size()] += double(s.values[i]);
  std::vector<dim> by_total(total.size());
  std::iota(by_total.begin(), by_total.end(), dim(0));
  std::stable_sort(by_total.begin(), by_total.end(),
                   [&](dim a, dim b) { return total[std::size_t(a)] > total[std::size_t(b)]; });
  const dim groups = s.cols / p.of;
  std::vector<dim> order(total.size());
  for (dim i = 0; i < s.cols; ++i) {
    const dim turn = i / groups, at = i % groups, group = turn % 2 ? groups - 1 - at : at;
    order[std::size_t(group * p.of + turn)] = by_total[std::size_t(i)];
  }
  return order;
}

// One column out of each group, that at `place`: what each group would keep with each of them.
class Exchange {
 public:
  Exchange(const ColumnScores& s, GroupPattern p, const std::vector<dim>& order, dim place)
      : s_(s), p_(p), order_(order), place_(place), groups_(s.cols / p.of) {}

  // (groups, groups), up to what a group keeps in any case, negative.
  std::vector<double> costs() {
    std::vector<double> out(std::size_t(groups_ * groups_));
    for (dim begin = 0; begin < s_.rows(); begin += kRowsAtOnce) {
      load(begin, std::min(s_.rows(), begin + kRowsAtOnce));
      parallel_ranges(groups_, 4, [&](dim first, dim last) {
        for (dim g = first; g < last; ++g) add(g, out.data() + g * groups_);
      });
    }
    return out;
  }

 private:
  // Of each row and group, the least that a value must exceed to be kept; and the values of those that look for a
  // group.
  void load(dim begin, dim end) {
    rows_ = end - begin;
    least_.resize(std::size_t(rows_ * groups_));
    free_.resize(least_.size());
    parallel_ranges(rows_, 16, [&](dim first, dim last) {
      std::vector<float> others(static_cast<std::size_t>(p_.of - 1));
      for (dim r = first; r < last; ++r) {
        const float* row = s_.values.data() + (begin + r) * s_.cols;
        for (dim g = 0; g < groups_; ++g) {
          std::size_t n = 0;
          for (dim i = 0; i < p_.of; ++i)
            if (i != place_) others[n++] = row[order_[std::size_t(g * p_.of + i)]];
          const auto least = others.begin() + (p_.keep - 1);
          std::nth_element(others.begin(), least, others.end(), std::greater<float>());
          least_[std::size_t(r * groups_ + g)] = *least;
          free_[std::size_t(r * groups_ + g)] = row[order_[std::size_t(g * p_.of + place_)]];
        }
      }
    });
  }

  void add(dim group, double* costs) const {
    std::vector<float> sums(static_cast<std::size_t>(groups_));
    for (dim r = 0; r < rows_; ++r) {
      const float least = least_[std::size_t(r * groups_ + group)];
      const float* values = free_.data() + r * groups_;
      for (dim c = 0; c < groups_; ++c) sums[std::size_t(c)] += std::max(least, values[c]);
    }
    for (dim c = 0; c < groups_; ++c) costs[c] -= double(sums[std::size_t(c)]);
  }

  const ColumnScores& s_;
  const GroupPattern p_;
  const std::vector<dim>& order_;
  const dim place_, groups_;
  dim rows_ = 0;
  std::vector<float> least_, free_;  // (rows_, groups)
};

}  // namespace

double kept_score(const ColumnScores& s, const std::vector<dim>& order, GroupPattern p) {
  std::vector<double> of_row(static_cast<std::size_t>(s.rows()));
  parallel_ranges(s.rows(), 16, [&](dim begin, dim end) {
    std::vector<float> group(static_cast<std::size_t>(p.of));
    for (dim r = begin; r < end; ++r)
      for (dim first = 0; first < s.cols; first += p.of) {
        for (dim i = 0; i < p.of; ++i)
          group[std::size_t(i)] = s.values[std::size_t(r * s.cols + order[std::size_t(first + i)])];
        std::nth_element(group.begin(), group.begin() + p.keep - 1, group.end(), std::greater<float>());
        for (dim i = 0; i < p.keep; ++i) of_row[std::size_t(r)] += double(group[std::size_t(i)]);
      }
  });
  return std::accumulate(of_row.begin(), of_row.end(), 0.0);
}

std::vector<dim> spread_columns(const ColumnScores& s, GroupPattern p, int rounds) {
  PITH_CHECK(0 < p.keep && p.keep < p.of && s.cols % p.of == 0);
  std::vector<dim> present(static_cast<std::size_t>(s.cols));
  std::iota(present.begin(), present.end(), dim(0));
  std::vector<dim> order = dealt(s, p);
  const dim groups = s.cols / p.of;
  double now = kept_score(s, order, p);
  for (int round = 0; round < rounds; ++round) {
    const double before = now;
    for (dim place = 0; place < p.of; ++place) {
      const std::vector<dim> chosen = least_assignment(Exchange(s, p, order, place).costs().data(), groups);
      std::vector<dim> next = order;
      for (dim g = 0; g < groups; ++g)
        next[std::size_t(g * p.of + place)] = order[std::size_t(chosen[std::size_t(g)] * p.of + place)];
      const double then = kept_score(s, next, p);
      if (then <= now) continue;
      order = std::move(next);
      now = then;
    }
    if (now - before <= kLeastGain * before) break;
  }
  return now > kept_score(s, present, p) ? order : present;
}

}  // namespace pith
