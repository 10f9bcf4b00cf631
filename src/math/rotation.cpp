#include "math/rotation.h"

#include <cmath>

#include "core/error.h"
#include "core/rng.h"

namespace pith {

namespace {

void hadamard(double* x, dim n) {
  for (dim half = 1; half < n; half *= 2)
    for (dim at = 0; at < n; at += 2 * half)
      for (dim i = at; i < at + half; ++i) {
        const double a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
  const double scale = 1 / std::sqrt(double(n));
  for (dim i = 0; i < n; ++i) x[i] *= scale;
}

// Rows of normal numbers, each made orthogonal to those before (twice, which is enough for full precision).
std::vector<double> random_orthogonal(dim k, Rng& rng) {
  std::vector<double> m(static_cast<std::size_t>(k * k));
  for (double& v : m) v = rng.normal();
  for (dim r = 0; r < k; ++r) {
    double* row = m.data() + r * k;
    for (int pass = 0; pass < 2; ++pass) {
      for (dim before = 0; before < r; ++before) {
        const double* other = m.data() + before * k;
        double dot = 0;
        for (dim c = 0; c < k; ++c) dot += row[c] * other[c];
        for (dim c = 0; c < k; ++c) row[c] -= dot * other[c];
      }
      double square = 0;
      for (dim c = 0; c < k; ++c) square += row[c] * row[c];
      for (dim c = 0; c < k; ++c) row[c] /= std::sqrt(square);
    }
  }
  return m;
}

}  // namespace

void hadamard_blocks(double* x, dim n) {
  const dim block = n & -n;
  for (dim at = 0; at < n; at += block) hadamard(x + at, block);
}

Rotation::Rotation(dim n, std::uint64_t seed) : n_(n), block_(n & -n), k_(n / block_) {
  Rng rng(seed);
  for (dim i = 0; i < n; ++i) signs_.push_back((rng.next() & 1) != 0 ? -1 : 1);
  mix_ = k_ > 1 ? random_orthogonal(k_, rng) : std::vector<double>{1};
}

Rotation::Rotation(std::vector<double> q) : n_(dim(std::sqrt(double(q.size())) + 0.5)), block_(1), k_(n_) {
  PITH_CHECK(n_ * n_ == dim(q.size()));
  signs_.assign(std::size_t(n_), 1.0);
  mix_ = std::move(q);
}

// Blocks by O, or by its transpose.
void Rotation::mix(double* x, bool back) const {
  if (k_ == 1) return;
  std::vector<double> mixed(static_cast<std::size_t>(n_));
  if (block_ == 1 && !back) {  // a whole matrix, in the order of memory
    for (dim from = 0; from < k_; ++from)
      for (dim to = 0; to < k_; ++to) mixed[std::size_t(to)] += x[from] * mix_[std::size_t(from * k_ + to)];
  } else {
    for (dim from = 0; from < k_; ++from)
      for (dim to = 0; to < k_; ++to) {
        const double factor = mix_[std::size_t(back ? to * k_ + from : from * k_ + to)];
        for (dim i = 0; i < block_; ++i) mixed[std::size_t(to * block_ + i)] += x[from * block_ + i] * factor;
      }
  }
  for (dim i = 0; i < n_; ++i) x[i] = mixed[std::size_t(i)];
}

void Rotation::apply(double* x) const {
  for (dim i = 0; i < n_; ++i) x[i] *= signs_[std::size_t(i)];
  for (dim at = 0; at < n_; at += block_) hadamard(x + at, block_);
  mix(x, false);
}

void Rotation::undo(double* x) const {
  mix(x, true);
  for (dim at = 0; at < n_; at += block_) hadamard(x + at, block_);
  for (dim i = 0; i < n_; ++i) x[i] *= signs_[std::size_t(i)];
}

}  // namespace pith
