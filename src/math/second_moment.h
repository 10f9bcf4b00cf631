// X^T X of activations, gathered piece by piece.
#pragma once
#include "core/buffer.h"
#include "core/group.h"
#include "math/rotation.h"

namespace pith {

// The sum over rows x of x^T x, (n, n). Products of at most kPiece rows are summed in f32, the pieces in double; the
// same calls give the same bits for any number of threads.
class SecondMoment {
 public:
  static constexpr dim kPiece = 256;
  explicit SecondMoment(dim n);
  void add(const float* x, dim rows);  // (rows, n)
  dim size() const { return n_; }
  dim rows() const { return rows_; }                                              // so far
  double at(dim i, dim j) const { return i <= j ? *upper(i, j) : *upper(j, i); }  // of the sum
  void copy_to(double* out) const;                                                // both triangles
  void divide(const float* factors);              // (n): as if each x had been divided by them
  SecondMoment turned(const Rotation& by) const;  // as if each x had been x Q
  SecondMoment copy() const;
  void clear();
  // Adds what each of the first `parts` processes has in `part`, of the same size, in the order of ranks.
  void add_in_order(const SecondMoment& part, Group& group, int parts);
  static dim bytes(dim n);

 private:
  static constexpr dim kGroup = 16;
  // Columns in groups of 16, each with the rows down to its last column: (16 g + 16, 16).
  const double* upper(dim i, dim j) const {
    const dim g = j / kGroup;
    return sum_.as<double>() + kGroup * kGroup * g * (g + 1) / 2 + i * kGroup + j % kGroup;
  }
  void add_group(const float* x, dim rows, dim group, float* packed, float* product);

  dim n_, rows_ = 0;
  Buffer sum_;
};

}  // namespace pith
