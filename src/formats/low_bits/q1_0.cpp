// q1_0: 128 values of {-1, 1} * d in 18 bytes.
//   0       2                            18
//   | d f16 | bit j of byte i: 8i + j    |      a set bit is +d
#include <algorithm>
#include <cmath>

#include "formats/block_codec.h"

namespace pith {

struct Q1_0 {
  static constexpr dim kBlock = 128, kBytes = 18;
  using Grid = float;

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 0); }

  // The weighted mean of |x| leaves the least squared error.
  static Grid search(const float* x, const float* w, const kernels::SearchPlan& plan) {
    float most = 0, heaviest = 0;
    for (dim i = 0; i < kBlock; ++i) most = std::max(most, std::fabs(x[i]));
    if (w)
      for (dim i = 0; i < kBlock; ++i) heaviest = std::max(heaviest, w[i]);
    if (!(heaviest > 0)) w = nullptr;
    if (plan.aim == kernels::Aim::minmax || most == 0) return kept(most);
    if (plan.aim == kernels::Aim::lp) return kept(shrunk(x, w, plan, most));
    double sums[4] = {}, weights[4] = {};
    for (dim i = 0; i < kBlock; i += 4)
      for (int k = 0; k < 4; ++k) {
        const double weight = w ? double(w[i + k]) : 1.0;
        sums[k] += weight * double(std::fabs(x[i + k]));
        weights[k] += weight;
      }
    return kept(
        float(((sums[0] + sums[1]) + (sums[2] + sums[3])) / ((weights[0] + weights[1]) + (weights[2] + weights[3]))));
  }
  static void store(Grid d, std::byte* block) { store_f16(block, d); }
  static Grid load(const std::byte* block) { return load_f16(block); }
  static void codes(const float* x, Grid, std::uint8_t* out) {
    for (dim i = 0; i < kBlock; ++i) out[i] = std::uint8_t(x[i] >= 0);
  }
  static std::uint8_t code(Grid d, float value) { return std::uint8_t(d < 0 ? value < 0 : value >= 0); }
  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (int i = 0; i < 16; ++i) {
      std::uint64_t eight;
      std::memcpy(&eight, codes + 8 * i, sizeof eight);
      block[2 + i] = std::byte((eight * 0x0102040810204080ull) >> 56);
    }
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    const auto mask = std::byte(1 << (j & 7));
    std::byte& b = block[2 + j / 8];
    b = code ? b | mask : b & ~mask;
  }
  static float value(Grid d, std::uint8_t code) { return code ? d : -d; }
  static void read_unit(const std::byte* block, std::uint8_t* codes, PanelUnit& unit) {
    unit.scale = load_u16(block);
    for (dim j = 0; j < kBlock; ++j) codes[j] = std::uint8_t(2 * (std::uint8_t(block[2 + j / 8]) >> j % 8 & 1));
  }
  static constexpr CodeUnits kUnits = {{.bits = 2, .zero = 1}, read_unit};
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; i += kBlock, in += kBytes) {
      const float d = load(in);
      for (dim j = 0; j < kBlock; ++j) *out++ = value(d, std::uint8_t(int(in[2 + j / 8]) >> (j & 7) & 1));
    }
  }

 private:
  static Grid kept(float d) { return f16_to_f32(f32_to_f16(std::min(d, 65504.0f))); }

  static float shrunk(const float* x, const float* w, const kernels::SearchPlan& plan, float most) {
    float best = most;
    double least = -1;
    for (int i = 0; i < plan.steps; ++i) {
      const float d = kept(most * (1.0f - float(i) / float(plan.steps)));
      double error = 0;
      for (dim j = 0; j < kBlock; ++j)
        error += (w ? double(w[j]) : 1.0) * std::pow(std::fabs(double(std::fabs(x[j])) - double(d)), double(plan.p));
      if (least < 0 || error < least) least = error, best = d;
    }
    return best;
  }
};

extern const Format format_q1_0 = BlockCodec<Q1_0>::format("q1_0", "signs, one scale per 128; GGUF", "q4_0", 41);

}  // namespace pith
