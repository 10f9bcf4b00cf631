// bilevel2_g16, bilevel3_g16, bilevel4_g16 (SpQR, arXiv:2306.03078): each 16 values have a scale and a zero point,
// which are themselves 3-bit codes on a grid that 16 such groups share. A row is cut into super-groups of 256 values
// (the last one may be shorter, and so may its last group):
//   0          2           4         6          8
//   | s_low    | s_step    | z_low   | z_step   | scale codes | zero codes | value codes, b bits |   all float16 / one
//   stream of low bits first each.   scale = s_low + code * s_step, zero = z_low + code * z_step in [0, 2^b - 1]
//   value = code * scale - zero * scale
// Bits: b + (3 + 3) / 16 + 64 / 256.
#include <algorithm>
#include <cmath>

#include "formats/bit_stream.h"
#include "formats/block_codec.h"
#include "formats/scale_search.h"

namespace pith {
namespace {

constexpr dim kGroup = 16, kGroups = 16, kSuper = kGroup * kGroups, kHead = 8;
constexpr int kSecondBits = 3, kSecondTop = 7;

struct Level {  // of the second kind: a value is low + code * step
  float low = 0, step = 0;
  std::uint8_t codes[kGroups] = {};
  float at(dim g) const { return low + float(codes[g]) * step; }
};

// The plain range of n numbers in [0, 65504], as float16 holds it.
Level level_of(const float* values, dim n) {
  const auto [least, most] = std::minmax_element(values, values + n);
  Level level;
  level.low = f16_to_f32(f32_to_f16(*least));
  level.step = f16_to_f32(f32_to_f16(std::max(0.0f, (*most - level.low) / kSecondTop)));
  for (dim g = 0; g < n; ++g) {
    const float place = level.step > 0 ? (values[g] - level.low) / level.step : 0.0f;
    level.codes[g] = std::uint8_t(std::clamp(std::nearbyint(place), 0.0f, float(kSecondTop)));
  }
  return level;
}

struct Grids {
  Level scales, zeros;
  float scale(dim g) const { return scales.at(g); }
  float min(dim g) const { return -zeros.at(g) * scales.at(g); }
};

dim groups_of(dim n) { return (n + kGroup - 1) / kGroup; }
dim size_of(dim g) { return code_bytes(g, kSecondBits); }
dim super_bytes(dim n, int bits) { return kHead + 2 * size_of(groups_of(n)) + code_bytes(n, bits); }

void store(const Grids& grids, dim n, std::byte* out) {
  const dim groups = groups_of(n);
  store_f16(out, grids.scales.low);
  store_f16(out + 2, grids.scales.step);
  store_f16(out + 4, grids.zeros.low);
  store_f16(out + 6, grids.zeros.step);
  pack_bits(grids.scales.codes, groups, kSecondBits, out + kHead);
  pack_bits(grids.zeros.codes, groups, kSecondBits, out + kHead + size_of(groups));
}

// One super-group's values on their way to codes.
class Fit {
 public:
  Fit(const float* x, const float* w, dim n, int top, const RangeSearch& r)
      : x_(x), w_(usable_weights(w, n)), n_(n), top_(top), range_(r), most_(largest_magnitude(x, n)) {}

  Grids run() {
    Grids best = plain(1);
    if (range_.kind == RangeSearch::Kind::minmax || most_ == 0) return best;
    float least = error(best);
    const auto take = [&](const Grids& grids) {
      const float at = error(grids);
      if (at < least) least = at, best = grids;
    };
    if (range_.kind == RangeSearch::Kind::lp) {
      for (int i = 1; i < range_.steps; ++i) take(plain(1 - float(i) / (1.25f * float(range_.steps))));
      return best;
    }
    take(searched());
    for (const float part : {0.95f, 0.9f, 0.85f, 0.8f}) take(plain(part));
    return best;
  }

 private:
  dim count(dim g) const { return std::min(kGroup, n_ - g * kGroup); }

  // From scales: the zeros that suit them as they are stored, then the grids of both.
  Grids with_zeros(const float* scales, float* zeros) const {
    Grids grids;
    grids.scales = level_of(scales, groups_of(n_));
    for (dim g = 0; g < groups_of(n_); ++g) refine_zero(g, grids.scale(g), zeros[g]);
    grids.zeros = level_of(zeros, groups_of(n_));
    return grids;
  }

  // The zero that is best for the codes it gives, twice over.
  void refine_zero(dim g, float scale, float& zero) const {
    if (scale <= 0) return;
    const double inverse = 1 / double(scale);
    for (int round = 0; round < 2; ++round) {
      double sum = 0, weights = 0;
      for (dim i = g * kGroup; i < g * kGroup + count(g); ++i) {
        const double place = double(x_[i]) * inverse, weight = w_ ? double(w_[i]) : 1.0;
        sum += weight * (std::clamp(std::nearbyint(place + double(zero)), 0.0, double(top_)) - place);
        weights += weight;
      }
      if (weights > 0) zero = float(std::clamp(sum / weights, 0.0, double(top_)));
    }
  }

  // Ranges from the least to the largest value, 0 among them, shrunk.
  Grids plain(float part) const {
    float scales[kGroups] = {}, zeros[kGroups] = {};
    for (dim g = 0; g < groups_of(n_); ++g) {
      const auto [least, most] = std::minmax_element(x_ + g * kGroup, x_ + g * kGroup + count(g));
      range(part * std::min(*least, 0.0f), part * std::max(*most, 0.0f), scales[g], zeros[g]);
    }
    return with_zeros(scales, zeros);
  }

  // Groups each with their best scale.
  Grids searched() const {
    float scales[kGroups] = {}, zeros[kGroups] = {};
    for (dim g = 0; g < groups_of(n_); ++g) {
      float x[kGroup], w[kGroup];
      for (dim i = 0; i < kGroup; ++i) {
        const dim at = g * kGroup + std::min(i, count(g) - 1);  // what is missing counts for nothing
        x[i] = x_[at];
        w[i] = i < count(g) ? w_ ? w_[at] : 1.0f : 0.0f;
      }
      const auto grid =
          kernels::search_kernels().affine(x, usable_weights(w, kGroup), kGroup, top_, plan_of(range_, true, 9, 9));
      // Negative scales count from the other end.
      const float end = grid.min + float(top_) * grid.scale;
      range(std::min({grid.min, end, 0.0f}), std::max({grid.min, end, 0.0f}), scales[g], zeros[g]);
    }
    return with_zeros(scales, zeros);
  }

  void range(float low, float high, float& scale, float& zero) const {
    scale = std::clamp(float((double(high) - double(low)) / top_), 0.0f, 65504.0f);
    zero = scale > 0 ? std::clamp(-low / scale, 0.0f, float(top_)) : 0.0f;
  }

  float error(const Grids& grids) const {
    float y[kSuper];
    std::uint8_t codes[kGroup];
    for (dim g = 0; g < groups_of(n_); ++g) {
      const float scale = grids.scale(g), min = grids.min(g);
      kernels::search_kernels().codes(x_ + g * kGroup, count(g), scale, min, 0, top_, codes);
      for (dim i = 0; i < count(g); ++i) y[g * kGroup + i] = float(codes[i]) * scale + min;
    }
    const float p = range_.kind == RangeSearch::Kind::lp ? float(range_.p) : 2.0f;
    return kernels::search_kernels().distance(x_, y, w_, n_, 1 / most_, p);
  }

  const float* x_;
  const float* w_;
  dim n_;
  int top_;
  const RangeSearch& range_;
  float most_;
};

template <int Bits>
struct Bilevel {
  static constexpr int kTop = (1 << Bits) - 1;

  static dim bytes_of(const Format&, dim n) {
    return n / kSuper * super_bytes(kSuper, Bits) + (n % kSuper ? super_bytes(n % kSuper, Bits) : 0);
  }
  // each(first value, values, bytes) for the super-groups of a row
  template <class Bytes, class Each>
  static void for_supers(Bytes* row, dim n, const Each& each) {
    for (dim i = 0; i < n; i += kSuper, row += super_bytes(kSuper, Bits)) each(i, std::min(kSuper, n - i), row);
  }
  static std::byte* codes_of(std::byte* super, dim n) { return super + kHead + 2 * size_of(groups_of(n)); }

  static float scale_at(const std::byte* super, dim g) {
    return load_f16(super) + float(get_code(super + kHead, g, kSecondBits)) * load_f16(super + 2);
  }
  static float min_at(const std::byte* super, dim n, dim g) {
    const std::byte* zeros = super + kHead + size_of(groups_of(n));
    return -(load_f16(super + 4) + float(get_code(zeros, g, kSecondBits)) * load_f16(super + 6)) * scale_at(super, g);
  }

  static void decode(const Format&, const std::byte* in, dim n, float* out) {
    for_supers(in, n, [&](dim first, dim count, const std::byte* super) {
      const std::byte* codes = super + kHead + 2 * size_of(groups_of(count));
      for (dim g = 0; g < groups_of(count); ++g) {
        const float scale = scale_at(super, g), min = min_at(super, count, g);
        const dim end = std::min(count, (g + 1) * kGroup);
        for (dim i = g * kGroup; i < end; ++i) out[first + i] = float(get_code(codes, i, Bits)) * scale + min;
      }
    });
  }

  static void encode(const Format&, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* out) {
    for_supers(out, n, [&](dim first, dim count, std::byte* super) {
      const Grids grids = Fit(x + first, w ? w + first : nullptr, count, kTop, r).run();
      store(grids, count, super);
      std::uint8_t codes[kSuper];
      for (dim g = 0; g < groups_of(count); ++g)
        kernels::search_kernels().codes(x + first + g * kGroup, std::min(kGroup, count - g * kGroup), grids.scale(g),
                                        grids.min(g), 0, kTop, codes + g * kGroup);
      pack_bits(codes, count, Bits, codes_of(super, count));
    });
  }

  static void fit(const Format& f, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* row) {
    std::memset(row, 0, std::size_t(bytes_of(f, n)));
    for_supers(row, n, [&](dim first, dim count, std::byte* super) {
      store(Fit(x + first, w ? w + first : nullptr, count, kTop, r).run(), count, super);
    });
  }

  static float put(const Format&, std::byte* row, dim n, dim j, float value) {
    std::byte* super = row + j / kSuper * super_bytes(kSuper, Bits);
    const dim count = std::min(kSuper, n - j / kSuper * kSuper), at = j % kSuper;
    const float scale = scale_at(super, at / kGroup), min = min_at(super, count, at / kGroup);
    std::uint8_t code;
    kernels::search_kernels().codes(&value, 1, scale, min, 0, kTop, &code);
    set_code(codes_of(super, count), at, Bits, code);
    return float(code) * scale + min;
  }

  static constexpr Format format(std::string_view name, std::string_view summary) {
    return {name, summary, 0, 0, "", -1, {}, bytes_of, decode, encode, fit, put};
  }
};

}  // namespace

extern const Format format_bilevel2_g16 =
    Bilevel<2>::format("bilevel2_g16", "2-bit codes per 16, their scales and zero points in 3 bits per 256");
extern const Format format_bilevel3_g16 =
    Bilevel<3>::format("bilevel3_g16", "3-bit codes per 16, their scales and zero points in 3 bits per 256");
extern const Format format_bilevel4_g16 =
    Bilevel<4>::format("bilevel4_g16", "4-bit codes per 16, their scales and zero points in 3 bits per 256");

}  // namespace pith
