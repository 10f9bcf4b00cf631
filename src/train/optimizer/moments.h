// What AdamW remembers of each value, in f32 or in 8 bits (block-wise dynamic quantization, arXiv:2110.02861).
#pragma once
#include <array>

#include "core/buffer.h"
#include "train/optimizer/adamw.h"

namespace pith {

// Of n values. In 8 bits: a code for each, and the largest magnitude of each kMomentBlock successive ones, f32; blocks
// of zeros have 0.
constexpr dim kMomentBlock = 256;

struct Moments {
  dim n = 0;
  Buffer mean, square;
  Buffer mean_scale, square_scale;  // empty: moments are f32
  Moments() = default;
  Moments(dim n, bool eight_bits);  // 0 of everything
  bool eight_bits() const { return mean_scale.size_bytes() > 0; }
  dim blocks() const { return (n + kMomentBlock - 1) / kMomentBlock; }
  dim size_bytes() const {
    return mean.size_bytes() + square.size_bytes() + mean_scale.size_bytes() + square_scale.size_bytes();
  }
};

// The 256 levels of a code, ascending, the last 1. Seven decades from 1e-7 to 1, each with twice as many evenly spaced
// levels as the one below; is_signed: also their negatives, half as many, and 0.
const std::array<float, 256>& moment_levels(bool is_signed);

// One block of n values from 0: codes of the nearest levels of x / scale, the largest magnitude as scale. Squares are
// never rounded to 0 unless they are: a step divides by their root. Returns the scale.
float encode_moments(const float* x, dim n, bool is_signed, std::uint8_t* codes);
void decode_moments(const std::uint8_t* codes, float scale, dim n, bool is_signed, float* x);

// As adamw.h; a step sees its own gradient exactly, and earlier ones as they were kept.
void adamw_step(const AdamW& options, const AdamWStep& step, float* values, const float* gradients, Moments& moments);

}  // namespace pith
