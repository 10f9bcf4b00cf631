// A rounded matrix whose ranges, and the direction in which each value is rounded, are learned.
#pragma once
#include <vector>

#include "compress/method.h"
#include "compress/reconstruct/adam.h"
#include "compress/reconstruct/level_grid.h"
#include "kernels/learned_rounding.h"

namespace pith {

struct LearnedParts {
  bool rounding = false;                                                // the v of kernels/learned_rounding.h
  enum class Ranges { fixed, linear, sigmoid } ranges = Ranges::fixed;  // how each end is multiplied
  double start = 1;                                                     // the first factor of the ends
};

class TrainedMatrix {
 public:
  // matrix.encoded gives the ranges to start from; it is written by `encode` only.
  TrainedMatrix(BlockMatrix& matrix, const LevelGrid& grid, const LearnedParts& parts);

  const Weight& weight() const { return weight_; }     // as rounded now, f32 or bf16
  float* gradient() { return gradient_.as<float>(); }  // (rows, cols) of the loss by `weight`
  const BlockMatrix& matrix() const { return matrix_; }

  // One step against the gradient, which is then set to 0. By its sign (SignSGD), or by Adam for the ranges alone.
  void step_by_sign(float rate, float range_rate);
  void step_by_adam(const AdamStep& step);
  void encode();  // what `weight` is now, into matrix.encoded

  static dim bytes_per_value() { return 16; }  // about: source, v, gradient, weight

 private:
  struct End {         // of a group
    float factor = 1;  // or, for sigmoids, what the sigmoid is of
    AdamMoments moments;
  };
  struct Group {
    Ends first;  // where it starts from
    Ends now;    // as the format stores it
    End low, high;
  };
  template <class Move>
  void step(float rate, const Move& move);  // move(end, slope): of each end that is learned
  Ends wanted(const Group& group) const;
  void store_row(dim row, std::vector<Ends>& ends);     // wanted ends become those that are stored
  void round_row(dim row, std::vector<float>& values);  // values: scratch of (cols)
  RoundingGroup rounding(dim row, dim g);
  Group& group(dim row, dim g) { return groups_[std::size_t(row * (grid_.cols / grid_.group) + g)]; }

  BlockMatrix& matrix_;
  LevelGrid grid_;
  LearnedParts parts_;
  std::vector<Group> groups_;
  Buffer source_, v_, gradient_, ranges_;  // ranges_: encoded rows, of which only the ranges count
  Weight weight_;
};

}  // namespace pith
