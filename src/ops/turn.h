// A matrix W (rows, cols) kept as W' = R^T W C between random rotations, where no value stands out (incoherence
// processing of QuIP, arXiv:2307.13304): the input of W' is the input of W times C, its output that of W times R.
#pragma once
#include <optional>

#include "math/rotation.h"

namespace pith {

class Turn {
 public:
  // The matrices follow from the seed. outputs: R is a rotation, too, not 1.
  Turn(std::uint64_t seed, bool outputs, dim rows, dim cols);
  // Sizes whose odd part is small enough for its dense rotation: rows alone where outputs are turned.
  static bool can_turn(dim size);

  std::uint64_t seed() const { return seed_; }
  bool outputs() const { return out_.has_value(); }
  dim rows() const { return rows_; }
  dim cols() const { return in_.size(); }
  const Rotation& input() const { return in_; }
  const Rotation& output() const { return *out_; }  // where outputs()

  // (n, cols), (n, rows): the input of W' from that of W; the output of W from that of W'. In place where to == from.
  void turn_inputs(const float* from, dim n, float* to) const;
  void undo_outputs(float* y, dim n) const;

 private:
  std::uint64_t seed_;
  dim rows_;
  Rotation in_;
  std::optional<Rotation> out_;
};

}  // namespace pith
