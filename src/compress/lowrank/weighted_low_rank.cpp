#include "compress/lowrank/weighted_low_rank.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "math/cholesky.h"
#include "math/eigen.h"
#include "math/matrix_product.h"

namespace pith {

namespace {

using Matrix = std::vector<double>;

constexpr dim kLarge = 256;  // below, all values are quick to find
constexpr std::uint64_t kSeed = 1;

Matrix sized(dim rows, dim cols) { return Matrix(std::size_t(rows * cols)); }

double mean_diagonal(const Matrix& h, dim n) {
  double mean = 0;
  for (dim i = 0; i < n; ++i) mean += h[std::size_t(i * n + i)] / double(n);
  return mean;
}

void add_to_diagonal(Matrix& h, dim n, double value) {
  for (dim i = 0; i < n; ++i) h[std::size_t(i * n + i)] += value;
}

// The mean of x^T x.
Matrix mean_of(const SecondMoment& moment, double damping = 0, const Matrix& center = {}) {
  Matrix h = sized(moment.size(), moment.size());
  moment.copy_to(h.data());
  const double scale = 1 / double(std::max<dim>(1, moment.rows()));
  for (double& v : h) v *= scale;
  for (std::size_t i = 0; i < center.size(); ++i)
    for (std::size_t j = 0; j < center.size(); ++j) h[i * center.size() + j] -= center[i] * center[j];
  if (damping > 0) add_to_diagonal(h, moment.size(), damping * mean_diagonal(h, moment.size()));
  return h;
}

// solve(h) with h made definite by as little as it takes of its mean diagonal.
template <class Solve>
void with_damping(const Matrix& h, dim n, const Solve& solve) {
  const double mean = mean_diagonal(h, n);
  if (!std::isfinite(mean)) throw input_error("calibration", "expected finite activations");
  for (const double damping : {1e-9, 1e-7, 1e-5, 1e-3, 1e-1}) {
    Matrix damped = h;
    add_to_diagonal(damped, n, mean > 0 ? damping * mean : 1);
    if (solve(std::move(damped))) return;
  }
  throw input_error("calibration", "expected finite activations");
}

// R with H = R R^T.
Matrix root_of(const SecondMoment& moment, double damping, const Matrix& center) {
  Matrix out;
  with_damping(mean_of(moment, damping, center), moment.size(), [&](Matrix h) {
    const bool definite = factor_upper(h.data(), moment.size());
    if (definite) out = std::move(h);
    return definite;
  });
  return out;
}

void scale_rows(Matrix& m, const Matrix& by, bool divide) {
  const std::size_t cols = by.empty() ? 0 : m.size() / by.size();
  for (std::size_t r = 0; r < by.size(); ++r)
    for (std::size_t c = 0; c < cols; ++c) m[r * cols + c] *= divide ? 1 / by[r] : by[r];
}

void scale_cols(Matrix& m, const Matrix& by) {
  for (std::size_t i = 0; i < m.size() && !by.empty(); ++i) m[i] *= by[i % by.size()];
}

}  // namespace

WeightedSvd::WeightedSvd(const float* w, dim rows, dim cols, Weighing weighing, std::optional<dim> most)
    : rows_(rows), cols_(cols), weighing_(std::move(weighing)), w_(w, w + rows * cols) {
  PITH_CHECK(rows > 0 && cols > 0 && (weighing_.cols.empty() || !weighing_.moment));
  PITH_CHECK(weighing_.rows.empty() || dim(weighing_.rows.size()) == rows);
  PITH_CHECK(weighing_.cols.empty() || dim(weighing_.cols.size()) == cols);
  PITH_CHECK(!weighing_.moment || weighing_.moment->size() == cols);
  scale_rows(w_, weighing_.rows, false);
  find_values(square(), std::min(most.value_or(rows), std::min(rows, cols)));
}

std::vector<double> WeightedSvd::square() {
  const dim rows = rows_, cols = cols_;
  const bool wide = rows <= cols;
  const dim n = std::min(rows, cols);
  Matrix square = sized(n, n);
  if (wide && weighing_.moment) {  // D W H W^T D: no root of H is needed, nor need it be definite
    Matrix half = sized(rows, cols);
    const Matrix h = mean_of(*weighing_.moment, weighing_.damping, weighing_.mean);
    matrix_product(w_.data(), Turned::no, h.data(), Turned::no, rows, cols, cols, half.data());
    matrix_product(half.data(), Turned::no, w_.data(), Turned::yes, rows, rows, cols, square.data());
    for (dim i = 0; i < n; ++i)
      for (dim j = 0; j < i; ++j) square[std::size_t(i * n + j)] = square[std::size_t(j * n + i)];
  } else {
    root_w_ = w_;
    scale_cols(root_w_, weighing_.cols);
    if (weighing_.moment) {
      const Matrix root = root_of(*weighing_.moment, weighing_.damping, weighing_.mean);
      matrix_product(w_.data(), Turned::no, root.data(), Turned::no, rows, cols, cols, root_w_.data());
    }
    const double* m = root_w_.data();
    if (wide)
      matrix_product(m, Turned::no, m, Turned::yes, rows, rows, cols, square.data());
    else
      matrix_product(m, Turned::yes, m, Turned::no, cols, cols, rows, square.data());
    if (wide) root_w_.clear();
  }
  return square;
}

void WeightedSvd::find_values(Matrix square, dim most) {
  const dim n = std::min(rows_, cols_);
  all_ = mean_diagonal(square, n) * double(n);
  Matrix squares(static_cast<std::size_t>(n));
  bool found = false;
  if (n >= kLarge && most * 8 <= n) {
    vectors_ = sized(most, n);
    found = eigen_largest(square.data(), n, most, kSeed, squares.data(), vectors_.data());
  } else if ((found = eigen_symmetric(square.data(), n, squares.data()))) {  // which ascend
    vectors_ = std::move(square);
    std::reverse(squares.begin(), squares.end());
    for (dim k = 0; k < n / 2; ++k)
      std::swap_ranges(vectors_.begin() + k * n, vectors_.begin() + (k + 1) * n, vectors_.end() - (k + 1) * n);
  }
  if (!found) throw input_error("low rank", "expected finite values that have singular values");
  for (dim k = 0; k < most; ++k) values_.push_back(std::sqrt(std::max(0.0, squares[std::size_t(k)])));
}

double WeightedSvd::tail(dim rank) const {
  if (dim(values_.size()) < std::min(rows_, cols_)) {
    double kept = 0;
    for (dim k = 0; k < rank; ++k) kept += values_[std::size_t(k)] * values_[std::size_t(k)];
    return std::max(0.0, all_ - kept);
  }
  double sum = 0;
  for (std::size_t k = values_.size(); k-- > std::size_t(rank);) sum += values_[k] * values_[k];
  return sum;
}

std::vector<double> WeightedSvd::left_vectors(dim rank) const {
  const dim n = std::min(rows_, cols_);
  Matrix chosen = sized(rank, n);
  std::copy_n(vectors_.data(), rank * n, chosen.data());
  if (rows_ <= cols_) return chosen;
  Matrix out = sized(rank, rows_);
  matrix_product(chosen.data(), Turned::no, root_w_.data(), Turned::yes, rank, rows_, cols_, out.data());
  for (dim k = 0; k < rank; ++k) {
    const double value = values_[std::size_t(k)];
    const double scale = value > 1e-7 * values_[0] ? 1 / value : 0;  // nothing is left in this direction
    for (dim r = 0; r < rows_; ++r) out[std::size_t(k * rows_ + r)] *= scale;
  }
  return out;
}

LowRank WeightedSvd::factors(dim rank) const {
  PITH_CHECK(1 <= rank && rank <= dim(values_.size()));
  LowRank out;
  out.rank = rank;
  out.before = tail(0);
  out.after = tail(rank);
  const Matrix u = left_vectors(rank);
  Matrix a = sized(rank, cols_), b = sized(rows_, rank);
  matrix_product(u.data(), Turned::no, w_.data(), Turned::no, rank, cols_, rows_, a.data());
  for (dim r = 0; r < rows_; ++r)
    for (dim k = 0; k < rank; ++k) b[std::size_t(r * rank + k)] = u[std::size_t(k * rows_ + r)];
  scale_rows(b, weighing_.rows, true);
  // Both factors of a direction get half of its size, so that 16-bit floats hold them alike.
  Matrix size(static_cast<std::size_t>(rank));
  for (dim k = 0; k < rank; ++k) {
    double sum = 0, other = 0;
    for (dim c = 0; c < cols_; ++c) sum += a[std::size_t(k * cols_ + c)] * a[std::size_t(k * cols_ + c)];
    for (dim r = 0; r < rows_; ++r) other += b[std::size_t(r * rank + k)] * b[std::size_t(r * rank + k)];
    size[std::size_t(k)] = sum > 0 && other > 0 ? std::sqrt(std::sqrt(sum / other)) : 1;
  }
  for (dim r = 0; r < rows_; ++r)
    for (dim k = 0; k < rank; ++k) out.b.push_back(float(b[std::size_t(r * rank + k)] * size[std::size_t(k)]));
  for (dim k = 0; k < rank; ++k)
    for (dim c = 0; c < cols_; ++c) out.a.push_back(float(a[std::size_t(k * cols_ + c)] / size[std::size_t(k)]));
  return out;
}

void refit(const float* w, dim rows, dim cols, const SecondMoment& moment, LowRank& factors) {
  const dim rank = factors.rank;
  const Matrix weight(w, w + rows * cols), a(factors.a.begin(), factors.a.end()), h = mean_of(moment);
  Matrix ah = sized(rank, cols), aha = sized(rank, rank), wha = sized(rows, rank);
  matrix_product(a.data(), Turned::no, h.data(), Turned::no, rank, cols, cols, ah.data());
  matrix_product(ah.data(), Turned::no, a.data(), Turned::yes, rank, rank, cols, aha.data());
  matrix_product(weight.data(), Turned::no, ah.data(), Turned::yes, rows, rank, cols, wha.data());
  with_damping(aha, rank, [&](Matrix damped) {
    Matrix b = wha;
    if (!solve_positive(damped.data(), rank, b.data(), rows)) return false;
    factors.b.assign(b.begin(), b.end());
    return true;
  });
}

double damage(const float* w, dim rows, dim cols, const SecondMoment& moment, const LowRank& factors) {
  const Matrix b(factors.b.begin(), factors.b.end()), a(factors.a.begin(), factors.a.end()), h = mean_of(moment);
  Matrix left = sized(rows, cols), half = sized(rows, cols);
  matrix_product(b.data(), Turned::no, a.data(), Turned::no, rows, cols, factors.rank, left.data());
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = double(w[i]) - left[i];
  matrix_product(left.data(), Turned::no, h.data(), Turned::no, rows, cols, cols, half.data());
  double sum = 0;
  for (std::size_t i = 0; i < left.size(); ++i) sum += left[i] * half[i];
  return sum;
}

LowRank weighted_low_rank(const float* e, dim rows, dim cols, const SecondMoment* moment, dim rank) {
  PITH_CHECK(rank >= 1);
  const dim used = std::min({rank, rows, cols});
  return WeightedSvd(e, rows, cols, {.rows = {}, .cols = {}, .moment = moment, .mean = {}, .damping = kAdapterDamping},
                     used)
      .factors(used);
}

}  // namespace pith
