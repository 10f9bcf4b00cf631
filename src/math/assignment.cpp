#include "math/assignment.h"

#include <algorithm>

namespace pith {

namespace {

class Assigner {
 public:
  Assigner(const double* cost, dim n)
      : cost_(cost), n_(n), price_(size(n)), row_of_(size(n), -1), column_of_(size(n), -1) {}

  std::vector<dim> run() {
    price_columns();
    for (dim row = 0; row < n_; ++row)
      if (column_of_[size(row)] < 0) augment(row);
    return std::move(column_of_);
  }

 private:
  static std::size_t size(dim i) { return static_cast<std::size_t>(i); }
  double reduced(dim row, dim column) const { return cost_[row * n_ + column] - price_[size(column)]; }

  // A column costs as much as the row that likes it best pays; many rows are served by that already.
  void price_columns() {
    for (dim column = 0; column < n_; ++column) {
      dim best = 0;
      for (dim row = 1; row < n_; ++row)
        if (cost_[row * n_ + column] < cost_[best * n_ + column]) best = row;
      price_[size(column)] = cost_[best * n_ + column];
      if (column_of_[size(best)] >= 0) continue;
      column_of_[size(best)] = column;
      row_of_[size(column)] = best;
    }
  }

  // The shortest path from a row without a column to a column without a row; assignments along it move on by one.
  void augment(dim start) {
    std::vector<double> distance(size(n_));
    std::vector<dim> from(size(n_), start);
    std::vector<bool> done(size(n_));
    for (dim column = 0; column < n_; ++column) distance[size(column)] = reduced(start, column);
    std::vector<dim> reached;
    dim end = -1;
    double length = 0;
    while (end < 0) {
      dim next = -1;
      for (dim column = 0; column < n_; ++column)
        if (!done[size(column)] && (next < 0 || distance[size(column)] < distance[size(next)])) next = column;
      length = distance[size(next)];
      done[size(next)] = true;
      const dim row = row_of_[size(next)];
      if (row < 0) {
        end = next;
        break;
      }
      reached.push_back(next);
      const double step = length - reduced(row, next);
      for (dim column = 0; column < n_; ++column) {
        const double through = step + reduced(row, column);
        if (done[size(column)] || through >= distance[size(column)]) continue;
        distance[size(column)] = through;
        from[size(column)] = row;
      }
    }
    for (const dim column : reached) price_[size(column)] += distance[size(column)] - length;
    for (dim column = end;;) {
      const dim row = from[size(column)];
      row_of_[size(column)] = row;
      std::swap(column, column_of_[size(row)]);
      if (row == start) break;
    }
  }

  const double* cost_;
  const dim n_;
  std::vector<double> price_;
  std::vector<dim> row_of_, column_of_;  // -1: none yet
};

}  // namespace

std::vector<dim> least_assignment(const double* cost, dim n) { return Assigner(cost, n).run(); }

}  // namespace pith
