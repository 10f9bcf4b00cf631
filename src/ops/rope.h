// Rotary position embedding with its scalings.
#pragma once
#include <span>
#include <vector>

#include "core/base.h"
#include "core/buffer.h"

namespace pith {

enum class RopeRule { none, linear, llama3, yarn, factors, dynamic };  // factors: only `divisors`

struct RopeChoice {
  dim dims = 0;  // rotated dimensions of a head
  double base = 10000;
  RopeRule rule = RopeRule::none;
  double factor = 1;
  dim original_context = 0;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  double magnitude = 1;                              // multiplies cos and sin
  std::vector<float> divisors = {};                  // (dims / 2) of the frequencies; empty: 1
};

// Radians per position of each pair, (dims / 2). `length` is the longest sequence in view (dynamic only).
std::vector<double> rope_frequencies(const RopeChoice& choice, dim length);

// cos and sin of the positions of a batch.
class RopeTable {
 public:
  void fill(std::span<const double> frequencies, double magnitude, std::span<const dim> positions);
  const float* cosine(dim row) const { return data_.as<float>() + row * 2 * half_; }  // (dims / 2)
  const float* sine(dim row) const { return cosine(row) + half_; }
  dim half() const { return half_; }
  dim size_bytes() const { return data_.size_bytes(); }

 private:
  Buffer data_;
  dim half_ = 0;
};

// Rotates each of `heads` heads of one row of x, (heads, head_dim), as row `row` of the table says.
void rope_row(float* x, dim heads, dim head_dim, const RopeTable& table, dim row, bool neighbours);

}  // namespace pith
