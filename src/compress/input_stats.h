// What calibration saw of the inputs of a matrix.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "math/second_moment.h"

namespace pith {

struct InputStats {
  dim cols = 0;
  dim tokens = 0;                      // how many inputs
  std::vector<double> squares;         // (cols) sum of x^2
  std::vector<double> magnitudes;      // (cols) sum of |x|
  std::vector<double> sums;            // (cols) sum of x
  std::vector<float> peaks;            // (cols) largest |x|
  std::optional<SecondMoment> moment;  // sum of x^T x, where a method needs it

  InputStats(dim columns, bool with_moment);
  void add(const float* x, dim rows);  // (rows, cols); the same calls give the same bits for any number of threads
  void clear();
  // Adds what each of the first `parts` processes has in `part`, of as many columns, in the order of ranks.
  void add_in_order(const InputStats& part, Group& group, int parts);
  std::vector<float> mean_squares() const;
  void divide(std::span<const float> factors);  // (cols): as if each input had been divided by them
};

}  // namespace pith
