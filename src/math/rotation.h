// Orthogonal matrices of any size that mix all elements: a randomized Hadamard matrix over the largest power of two
// that divides it, and a random orthogonal one over what is left. As in QuaRot (arXiv:2404.00456), which has Hadamard
// matrices of some such sizes.
#pragma once
#include <vector>

#include "core/base.h"

namespace pith {

// x (n) = x H, blocks of the largest power of two that divides n by Sylvester's matrix over its root: symmetric, and
// its own inverse.
void hadamard_blocks(double* x, dim n);

// Q = D (O (x) H) of n = k * 2^p: D random signs, O a random orthogonal matrix (k, k), H Hadamard's of 2^p.
class Rotation {
 public:
  Rotation(dim n, std::uint64_t seed);
  explicit Rotation(std::vector<double> q);  // Q itself, (n, n), orthogonal
  dim size() const { return n_; }
  void apply(double* x) const;  // x (n) = x Q
  void undo(double* x) const;   // x (n) = x Q^T

 private:
  void mix(double* x, bool back) const;
  dim n_, block_, k_;
  std::vector<double> signs_;  // (n)
  std::vector<double> mix_;    // (k, k)
};

}  // namespace pith
