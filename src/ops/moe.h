// Mixtures of experts: which expert sees which row, and with what weight (Shazeer et al. 2017; softmax over all
// experts, then the largest, as Mixtral and Qwen do).
#pragma once
#include <span>
#include <vector>

#include "core/base.h"

namespace pith {

// Rows of the input by expert, ascending within each.
struct Routing {
  std::vector<dim> first;     // (experts + 1): where an expert's rows begin
  std::vector<dim> row;       // (n * used)
  std::vector<float> weight;  // (n * used)
  std::span<const dim> rows_of(dim expert) const { return std::span(row).subspan(from(expert), count(expert)); }
  std::span<const float> weights_of(dim expert) const { return std::span(weight).subspan(from(expert), count(expert)); }
  void all(dim n);  // one expert that sees all rows with weight 1

 private:
  std::size_t from(dim e) const { return std::size_t(first[std::size_t(e)]); }
  std::size_t count(dim e) const { return std::size_t(first[std::size_t(e + 1)]) - from(e); }
};

// logits: (n, experts), finite; overwritten with their softmax. The `used` largest of a row win, the lower number where
// two are equal. normalize: the winners' weights are divided by their sum.
void route(float* logits, dim n, dim experts, dim used, bool normalize, Routing& out);

void gather_rows(const float* x, std::span<const dim> rows, dim width, float* out);  // out[i] = x[rows[i]]
// out[rows[i]] += weights[i] * y[i]; no row twice.
void add_weighted_rows(const float* y, std::span<const dim> rows, std::span<const float> weights, dim width,
                       float* out);

float sigmoid(float x);

}  // namespace pith
