#include "compress/lowrank/weighted_low_rank.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "math/cholesky.h"
#include "math/eigen.h"

namespace pith {

namespace {

using Matrix = std::vector<double>;

// (m, k) times (k, n)
Matrix product(const Matrix& a, const Matrix& b, dim m, dim k, dim n) {
  Matrix out(std::size_t(m * n));
  parallel_for(m, [&](dim i) {
    double* to = out.data() + i * n;
    for (dim p = 0; p < k; ++p) {
      const double factor = a[std::size_t(i * k + p)];
      const double* from = b.data() + p * n;
      for (dim j = 0; j < n; ++j) to[j] += factor * from[j];
    }
  });
  return out;
}

Matrix transposed(const Matrix& a, dim rows, dim cols) {
  Matrix out(a.size());
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < cols; ++c) out[std::size_t(c * rows + r)] = a[std::size_t(r * cols + c)];
  return out;
}

// R with H = R R^T, H with a hundredth of its mean diagonal added.
Matrix root_of(const SecondMoment* moment, dim n) {
  Matrix r(std::size_t(n * n));
  if (!moment) {
    for (dim i = 0; i < n; ++i) r[std::size_t(i * n + i)] = 1;
    return r;
  }
  moment->copy_to(r.data());
  const double scale = 1 / double(std::max<dim>(1, moment->rows()));
  double mean = 0;
  for (double& v : r) v *= scale;
  for (dim i = 0; i < n; ++i) mean += r[std::size_t(i * n + i)] / double(n);
  for (dim i = 0; i < n; ++i) r[std::size_t(i * n + i)] += mean > 0 ? 0.01 * mean : 1;
  if (!factor_upper(r.data(), n)) throw input_error("calibration", "expected finite activations");
  return r;
}

double squares(const Matrix& m) {
  double sum = 0;
  for (const double v : m) sum += v * v;
  return sum;
}

// The first `rank` left singular vectors of w (rows, cols), as rows (rank, rows), by the smaller of its two squares.
Matrix left_vectors(const Matrix& w, dim rows, dim cols, dim rank) {
  const bool wide = rows <= cols;
  const Matrix t = transposed(w, rows, cols);
  const dim n = wide ? rows : cols;
  Matrix square = wide ? product(w, t, rows, cols, rows) : product(t, w, cols, rows, cols);
  std::vector<double> values(static_cast<std::size_t>(n));
  if (!eigen_symmetric(square.data(), n, values.data()))
    throw input_error("low rank", "expected finite errors that have singular values");
  Matrix out(std::size_t(rank * rows));
  for (dim k = 0; k < rank; ++k) {
    const double* vector = square.data() + (n - 1 - k) * n;
    double* to = out.data() + k * rows;
    if (wide) {
      std::copy_n(vector, rows, to);
      continue;
    }
    const double value = values[std::size_t(n - 1 - k)];
    if (!(value > 1e-14 * values.back())) break;  // nothing is left in this direction
    for (dim r = 0; r < rows; ++r) {
      double sum = 0;
      for (dim c = 0; c < cols; ++c) sum += w[std::size_t(r * cols + c)] * vector[c];
      to[r] = sum / std::sqrt(value);
    }
  }
  return out;
}

}  // namespace

LowRank weighted_low_rank(const float* e, dim rows, dim cols, const SecondMoment* moment, dim rank) {
  PITH_CHECK(rows > 0 && cols > 0 && rank >= 1 && (!moment || moment->size() == cols));
  LowRank out;
  out.rank = rank = std::min({rank, rows, cols});
  const Matrix error(e, e + rows * cols), root = root_of(moment, cols);
  const Matrix weighted = product(error, root, rows, cols, cols);
  const Matrix u = left_vectors(weighted, rows, cols, rank), ut = transposed(u, rank, rows);
  const Matrix a = product(u, error, rank, rows, cols);
  out.before = squares(weighted);
  Matrix left = error;
  const Matrix both = product(ut, a, rows, rank, cols);
  for (std::size_t i = 0; i < left.size(); ++i) left[i] -= both[i];
  out.after = squares(product(left, root, rows, cols, cols));
  // Both factors of a direction get half of its size, so that float16 holds them alike.
  std::vector<double> size(static_cast<std::size_t>(rank));
  for (dim k = 0; k < rank; ++k) {
    double sum = 0;
    for (dim c = 0; c < cols; ++c) sum += a[std::size_t(k * cols + c)] * a[std::size_t(k * cols + c)];
    size[std::size_t(k)] = sum > 0 ? std::sqrt(std::sqrt(sum)) : 1;
  }
  for (dim r = 0; r < rows; ++r)
    for (dim k = 0; k < rank; ++k) out.b.push_back(float(ut[std::size_t(r * rank + k)] * size[std::size_t(k)]));
  for (dim k = 0; k < rank; ++k)
    for (dim c = 0; c < cols; ++c) out.a.push_back(float(a[std::size_t(k * cols + c)] / size[std::size_t(k)]));
  return out;
}

}  // namespace pith
