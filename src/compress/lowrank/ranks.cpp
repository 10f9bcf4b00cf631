#include "compress/lowrank/ranks.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace pith {

namespace {

// The nearest multiple, or 0 where factors would not pay.
dim rank_near(const RankItem& item, double rank, dim multiple) {
  const dim most = std::min(item.rows, item.cols);
  const dim near = std::max<dim>(1, dim(std::round(rank / double(multiple)))) * multiple;
  return near >= break_even_rank(item.rows, item.cols) || near > most ? 0 : near;
}

dim total(std::span<const RankItem> items, std::span<const dim> ranks) {
  dim sum = 0;
  for (std::size_t i = 0; i < items.size(); ++i) sum += values_at_rank(items[i], ranks[i]);
  return sum;
}

}  // namespace

dim values_at_rank(const RankItem& item, dim rank) {
  return rank > 0 ? rank * (item.rows + item.cols) : item.rows * item.cols;
}

std::vector<dim> uniform_ranks(std::span<const RankItem> items, double ratio, dim multiple) {
  if (ratio <= 0) return std::vector<dim>(items.size(), 0);
  std::vector<dim> out;
  for (const RankItem& item : items)
    out.push_back(
        rank_near(item, (1 - ratio) * double(item.rows) * double(item.cols) / double(item.rows + item.cols), multiple));
  return out;
}

std::vector<dim> threshold_ranks(std::span<const RankItem> items, double ratio, dim multiple) {
  PITH_CHECK(ratio >= 0 && ratio < 1 && multiple >= 1);
  if (ratio <= 0) return std::vector<dim>(items.size(), 0);
  dim all = 0;
  double low = 1e300, high = 0;
  for (const RankItem& item : items) {
    all += item.rows * item.cols;
    for (const double v : item.values) {
      const double gain = item.weight * v * v / double(item.rows + item.cols);
      if (gain > 0) low = std::min(low, gain);
      high = std::max(high, gain);
    }
  }
  const auto ranks_at = [&](double threshold) {
    std::vector<dim> out;
    for (const RankItem& item : items) {
      const double least = threshold * double(item.rows + item.cols) / std::max(item.weight, 1e-300);
      dim kept = 0;
      while (kept < dim(item.values.size()) && item.values[std::size_t(kept)] * item.values[std::size_t(kept)] > least)
        ++kept;
      out.push_back(rank_near(item, double(kept), multiple));
    }
    return out;
  };
  if (high <= 0) return uniform_ranks(items, ratio, multiple);
  low *= 0.5;
  const double budget = (1 - ratio) * double(all);
  if (double(total(items, ranks_at(low))) <= budget) return ranks_at(low);
  for (int step = 0; step < 200; ++step) {
    const double middle = std::sqrt(low * high);
    (double(total(items, ranks_at(middle))) > budget ? low : high) = middle;
  }
  return ranks_at(high);
}

}  // namespace pith
