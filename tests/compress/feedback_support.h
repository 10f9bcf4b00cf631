// Matrices, inputs and the damage of rounding, by plain code.
#pragma once
#include <cmath>
#include <vector>

#include "compress/method.h"
#include "core/rng.h"

namespace pith::test {

inline std::vector<float> normals(dim count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& v : x) v = float(rng.normal());
  return x;
}

// Inputs whose columns are mixtures of a few others: (rows, n).
inline std::vector<float> correlated_inputs(dim rows, dim n, std::uint64_t seed) {
  const dim sources = n / 4;
  const auto z = normals(rows * sources, seed), mix = normals(sources * n, seed + 1), own = normals(rows * n, seed + 2);
  std::vector<float> x(static_cast<std::size_t>(rows * n));
  for (dim r = 0; r < rows; ++r)
    for (dim c = 0; c < n; ++c) {
      float sum = 0.3f * own[std::size_t(r * n + c)];
      for (dim s = 0; s < sources; ++s) sum += z[std::size_t(r * sources + s)] * mix[std::size_t(s * n + c)];
      x[std::size_t(r * n + c)] = sum;
    }
  return x;
}

inline std::vector<double> moments(const std::vector<float>& x, dim n) {
  std::vector<double> h(static_cast<std::size_t>(n * n));
  const dim rows = dim(x.size()) / n;
  for (dim r = 0; r < rows; ++r)
    for (dim i = 0; i < n; ++i)
      for (dim j = 0; j < n; ++j)
        h[std::size_t(i * n + j)] +=
            double(x[std::size_t(r * n + i)]) * double(x[std::size_t(r * n + j)]) / double(rows);
  return h;
}

inline SecondMoment moment_of(const std::vector<float>& x, dim n) {
  SecondMoment m(n);
  m.add(x.data(), dim(x.size()) / n);
  return m;
}

inline std::vector<float> decoded(const Format& f, const std::vector<std::byte>& bytes, dim rows, dim n) {
  std::vector<float> out(static_cast<std::size_t>(rows * n));
  for (dim r = 0; r < rows; ++r) f.decode(f, bytes.data() + r * row_bytes(f, n), n, out.data() + r * n);
  return out;
}

// Sum over rows of (w - w') h (w - w')^T.
inline double damage(const std::vector<float>& w, const std::vector<float>& q, const std::vector<double>& h, dim n) {
  double sum = 0;
  for (dim r = 0; r < dim(w.size()) / n; ++r)
    for (dim i = 0; i < n; ++i)
      for (dim j = 0; j < n; ++j)
        sum += double(w[std::size_t(r * n + i)] - q[std::size_t(r * n + i)]) * h[std::size_t(i * n + j)] *
               double(w[std::size_t(r * n + j)] - q[std::size_t(r * n + j)]);
  return sum;
}

// What a method makes of a matrix (rows, n) whose inputs were x: the codes decoded, outliers added.
inline std::vector<float> compressed_by(const Method& method, const Format& f, const std::vector<float>& w,
                                        const std::vector<float>& x, dim n, const std::vector<std::string>& given) {
  const dim rows = dim(w.size()) / n;
  const Options options(method.name, method.options, given);
  InputStats stats(n, true);
  stats.add(x.data(), dim(x.size()) / n);
  const std::vector<float> squares = stats.mean_squares();
  const OutlierShape shape = method.outliers ? method.outliers(f, n, options) : OutlierShape();
  std::unique_ptr<LayerState> shared, state;
  if (method.prepare) shared = method.prepare(stats, f, options);
  ScaledMatrix matrix{rows,         n, &f, &stats, [&](dim row, float* to) { std::copy_n(w.data() + row * n, n, to); },
                      shape.per_row};
  matrix.shared = shared.get();
  if (method.prepare_matrix) state = method.prepare_matrix(matrix, options);
  std::vector<std::byte> bytes(std::size_t(rows * row_bytes(f, n)));
  std::vector<std::int32_t> columns(std::size_t(rows * shape.per_row));
  std::vector<float> values(columns.size());
  method.layer({w.data(), rows, n, &f, squares.data(), bytes.data(), state ? state.get() : shared.get(), Role::other,
                shape.per_row, columns.data(), values.data()},
               options);
  std::vector<float> out = decoded(f, bytes, rows, n);
  for (dim i = 0; i < rows * shape.per_row; ++i)
    out[std::size_t(i / shape.per_row * n + columns[std::size_t(i)])] += values[std::size_t(i)];
  return out;
}

}  // namespace pith::test
