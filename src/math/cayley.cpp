#include "math/cayley.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "math/matrix_product.h"

namespace pith {

namespace {

using Square = std::vector<double>;

Square product(const Square& a, Turned a_turned, const Square& b, Turned b_turned, dim n) {
  Square c(a.size());
  matrix_product(a.data(), a_turned, b.data(), b_turned, n, n, n, c.data());
  return c;
}

// The largest sum of magnitudes of a column.
double column_norm(const Square& a, dim n) {
  std::vector<double> sums(std::size_t(n), 0.0);
  for (std::size_t i = 0; i < a.size(); ++i) sums[i % std::size_t(n)] += std::fabs(a[i]);
  return *std::max_element(sums.begin(), sums.end());
}

}  // namespace

CayleyDescent::CayleyDescent(dim n, double momentum)
    : n_(n), beta_(momentum), x_(std::size_t(n * n), 0.0), momentum_(x_.size(), 0.0) {
  for (dim i = 0; i < n; ++i) x_[std::size_t(i * n + i)] = 1;
}

void CayleyDescent::step(const std::vector<double>& gradient, double rate) {
  PITH_CHECK(gradient.size() == x_.size());
  constexpr int kRounds = 5;
  for (std::size_t i = 0; i < x_.size(); ++i) momentum_[i] = beta_ * momentum_[i] - gradient[i];
  // The skew part of the momentum where the matrix stands; for a square one the paper's W.
  const Square p = product(momentum_, Turned::no, x_, Turned::yes, n_);
  Square w(p.size());
  for (dim i = 0; i < n_; ++i)
    for (dim j = 0; j < n_; ++j)
      w[std::size_t(i * n_ + j)] = 0.5 * (p[std::size_t(i * n_ + j)] - p[std::size_t(j * n_ + i)]);
  momentum_ = product(w, Turned::no, x_, Turned::no, n_);
  const double a = std::min(rate, 1 / (column_norm(w, n_) + 1e-8));
  // y = x + a w (x + y) / 2, the transform's equation, from a first guess.
  Square y(x_.size()), sum(x_.size());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = x_[i] + a * momentum_[i];
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < y.size(); ++i) sum[i] = x_[i] + y[i];
    const Square turned = product(w, Turned::no, sum, Turned::no, n_);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = x_[i] + 0.5 * a * turned[i];
  }
  x_ = std::move(y);
  make_orthogonal();
}

// Newton and Schulz: x (3 - x^T x) / 2, twice; near an orthogonal matrix what is left is squared each time.
void CayleyDescent::make_orthogonal() {
  for (int round = 0; round < 2; ++round) {
    const Square square = product(x_, Turned::yes, x_, Turned::no, n_);
    const Square cube = product(x_, Turned::no, square, Turned::no, n_);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = 1.5 * x_[i] - 0.5 * cube[i];
  }
}

}  // namespace pith
