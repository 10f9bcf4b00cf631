#include "train/optimizer/moments.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"

namespace pith {

namespace {

// A decade (10^-k, 10^-k+1] has the middles of equal parts of 0.1 to 1, times its upper end.
std::array<float, 256> make_levels(bool is_signed) {
  std::array<float, 256> levels{};
  std::size_t next = 0;
  for (int decade = 0; decade < 7; ++decade) {
    const int parts = is_signed ? 1 << decade : 2 << decade;
    for (int i = 0; i < parts; ++i) {
      const auto level = float(std::pow(10.0, decade - 6) * (0.1 + 0.9 * (i + 0.5) / parts));
      levels[next++] = level;
      if (is_signed) levels[next++] = -level;
    }
  }
  levels[next++] = 0;
  levels[next++] = 1;
  PITH_CHECK(next == 256);
  std::sort(levels.begin(), levels.end());
  return levels;
}

std::array<float, 255> middles(const std::array<float, 256>& levels) {
  std::array<float, 255> between{};
  for (std::size_t i = 0; i < 255; ++i) between[i] = (levels[i] + levels[i + 1]) / 2;
  return between;
}

// How many of the middles are below x: eight steps without branches.
std::size_t code_of(const std::array<float, 255>& between, float x) {
  std::size_t at = 0;
  for (std::size_t half = 128; half > 0; half /= 2)
    if (x > between[at + half - 1]) at += half;
  return at;
}

}  // namespace

Moments::Moments(dim count, bool eight_bits) : n(count) {
  const dim each = eight_bits ? 1 : dim(sizeof(float));
  mean = Buffer(n * each);
  square = Buffer(n * each);
  if (!eight_bits) return;
  mean_scale = Buffer(blocks() * dim(sizeof(float)));
  square_scale = Buffer(blocks() * dim(sizeof(float)));
}

const std::array<float, 256>& moment_levels(bool is_signed) {
  static const std::array<float, 256> both = make_levels(true), positive = make_levels(false);
  return is_signed ? both : positive;
}

float encode_moments(const float* x, dim n, bool is_signed, std::uint8_t* codes) {
  static const std::array<float, 255> both = middles(moment_levels(true)), positive = middles(moment_levels(false));
  const auto& between = is_signed ? both : positive;
  float scale = 0;
  for (dim i = 0; i < n; ++i) scale = std::max(scale, std::fabs(x[i]));
  const float factor = scale > 0 ? 1 / scale : 0;
  if (!std::isfinite(factor)) scale = 0;  // smaller than any f32 says
  for (dim i = 0; i < n; ++i) {
    std::size_t code = scale > 0 ? code_of(between, x[i] * factor) : code_of(between, 0);
    if (!is_signed && scale > 0 && x[i] > 0) code = std::max<std::size_t>(code, 1);
    codes[i] = std::uint8_t(code);
  }
  return scale;
}

void decode_moments(const std::uint8_t* codes, float scale, dim n, bool is_signed, float* x) {
  const auto& levels = moment_levels(is_signed);
  for (dim i = 0; i < n; ++i) x[i] = scale * levels[codes[i]];
}

void adamw_step(const AdamW& o, const AdamWStep& step, float* values, const float* gradients, Moments& m) {
  if (!m.eight_bits()) return adamw_step(o, step, {values, gradients, m.mean.as<float>(), m.square.as<float>(), m.n});
  auto *means = m.mean.as<std::uint8_t>(), *squares = m.square.as<std::uint8_t>();
  auto *mean_scales = m.mean_scale.as<float>(), *square_scales = m.square_scale.as<float>();
  parallel_for(
      m.blocks(),
      [&](dim b) {
        const dim at = b * kMomentBlock, n = std::min(kMomentBlock, m.n - at);
        float mean[kMomentBlock], square[kMomentBlock];
        decode_moments(means + at, mean_scales[b], n, true, mean);
        decode_moments(squares + at, square_scales[b], n, false, square);
        adamw_update(o, step, {values + at, gradients + at, mean, square, n});
        mean_scales[b] = encode_moments(mean, n, true, means + at);
        square_scales[b] = encode_moments(square, n, false, squares + at);
      },
      64);
}

}  // namespace pith
