#include "eval/token_cost.h"

#include <algorithm>

#include "core/parallel.h"
#include "kernels/rows.h"

namespace pith {
namespace {

bool multiplies(const ModelTensor& t) { return is_linear_matrix(t) || is_difference(t); }

// The share of a matrix's values that the file stores.
double kept_share(const ModelTensor& t) {
  if (!t.sparse) return 1;
  return double(t.sparse->values.rows * t.sparse->values.cols) / double(t.sparse->rows * t.sparse->cols);
}

// The head's own matrix, else the embedding that it shares.
const ModelTensor* head_of(std::span<const ModelTensor> tensors) {
  const ModelTensor* head = nullptr;
  for (const ModelTensor& t : tensors)
    if (t.part == Part::weight && (t.role == Role::lm_head || (t.role == Role::embed && !head))) head = &t;
  return head;
}

}  // namespace

TokenCost token_cost(const Config& c, std::span<const ModelTensor> tensors) {
  TokenCost cost;
  const double used = c.experts > 0 ? double(c.experts_used) / double(c.experts) : 1;
  for (const ModelTensor& t : tensors) {
    if (!multiplies(t)) continue;
    const double share = (t.expert >= 0 ? used : 1) * double(t.readers);
    const double ops = share * 2 * double(t.weight.rows) * double(t.weight.cols);
    cost.linear_ops += ops;
    cost.kept_ops += ops * kept_share(t);
    if (t.weight.format) cost.bytes += share * double(bytes_of(t));
  }
  if (const ModelTensor* head = head_of(tensors)) {
    cost.head_ops = 2 * double(head->weight.rows) * double(head->weight.cols);
    if (head->weight.format) cost.bytes += double(bytes_of(*head));
  }
  cost.ops_per_past = 4 * double(c.layers) * double(c.heads) * double(c.head_dim);
  return cost;
}

ZeroCount count_zeros(const Model& model) {
  ZeroCount total;
  for (const ModelTensor& t : model.tensors()) {
    if (!multiplies(t)) continue;
    const dim rows = t.weight.rows, cols = t.weight.cols;
    std::vector<dim> zeros(static_cast<std::size_t>(rows));
    parallel_ranges(rows, 16, [&](dim begin, dim end) {
      std::vector<float> row(static_cast<std::size_t>(cols));
      for (dim r = begin; r < end; ++r) {
        decode_row(t, r, row.data());
        zeros[std::size_t(r)] = count_zeros(row.data(), dim(row.size()));
      }
    });
    total.values += rows * cols;
    for (const dim n : zeros) total.zeros += n;
    model.release(t);
  }
  return total;
}

}  // namespace pith
