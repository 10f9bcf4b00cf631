#include "compress/structured/expert_groups.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "math/assignment.h"
#include "math/matrix_product.h"

namespace pith {

namespace {

// A row for each neuron: its row of gate and up, and its column of down; (neurons, cols) of a matrix at a time.
struct NeuronRows {
  dim neurons = 0, cols = 0;
  std::vector<double> values;
};

NeuronRows neuron_rows(const Model& model, Role role, dim layer, dim expert) {
  const ModelTensor* t = model.find(role, layer, Part::weight, expert);
  if (!t) return {};
  const bool down = role == Role::expert_down;
  const dim rows = t->weight.rows, cols = t->weight.cols;
  NeuronRows out{down ? cols : rows, down ? rows : cols, std::vector<double>(std::size_t(rows * cols))};
  parallel_ranges(rows, 16, [&](dim begin, dim end) {
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (dim r = begin; r < end; ++r) {
      decode_row(*t, r, row.data());
      for (dim c = 0; c < cols; ++c)
        out.values[std::size_t(down ? c * rows + r : r * cols + c)] = double(row[std::size_t(c)]);
    }
  });
  return out;
}

}  // namespace

std::vector<std::vector<dim>> cluster(const std::vector<double>& distance, dim n, dim groups) {
  PITH_CHECK(0 < groups && groups <= n && dim(distance.size()) == n * n);
  std::vector<std::vector<dim>> out;
  for (dim i = 0; i < n; ++i) out.push_back({i});
  const auto mean = [&](const std::vector<dim>& a, const std::vector<dim>& b) {
    double sum = 0;
    for (const dim i : a)
      for (const dim j : b) sum += distance[std::size_t(i * n + j)];
    return sum / double(a.size() * b.size());
  };
  while (dim(out.size()) > groups) {
    std::size_t one = 0, other = 1;
    double least = mean(out[0], out[1]);
    for (std::size_t a = 0; a < out.size(); ++a)
      for (std::size_t b = a + 1; b < out.size(); ++b)
        if (const double d = mean(out[a], out[b]); d < least) {
          least = d;
          one = a;
          other = b;
        }
    out[one].insert(out[one].end(), out[other].begin(), out[other].end());
    std::sort(out[one].begin(), out[one].end());
    out.erase(out.begin() + std::ptrdiff_t(other));
  }
  return out;
}

std::vector<dim> matched_neurons(const Model& model, dim layer, dim leader, dim other) {
  std::vector<double> cost;
  dim n = 0;
  for (const Role role : {Role::expert_gate, Role::expert_up, Role::expert_down}) {
    const NeuronRows a = neuron_rows(model, role, layer, leader), b = neuron_rows(model, role, layer, other);
    if (a.values.empty()) continue;
    n = a.neurons;
    std::vector<double> products(std::size_t(n * n));
    matrix_product(a.values.data(), Turned::no, b.values.data(), Turned::yes, n, n, a.cols, products.data());
    cost.resize(products.size());
    for (std::size_t i = 0; i < cost.size(); ++i) cost[i] -= products[i];
  }
  return least_assignment(cost.data(), n);
}

}  // namespace pith
