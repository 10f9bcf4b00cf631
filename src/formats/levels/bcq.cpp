// bcq2_g128, bcq3_g128, bcq4_g128: binary coding (LUT-GEMM, arXiv:2206.09557), 128 values a block;
// value = sum over planes p of +alpha[p] where bit p is set, else -alpha[p].
//   0                 2b
//   | b x alpha, f16  | b planes of 16 bytes; bit j % 8 of byte j / 8 is value j's |
// The search alternates between the nearest codes and the least-squares alphas, from a greedy start, from evenly
// spaced ones and from one that sets the largest value apart. Plain ranges (minmax) are 2^b evenly spaced values
// between plus and minus the largest magnitude.
#include <cmath>

#include "core/half.h"
#include "formats/block_codec.h"
#include "formats/scale_search.h"

namespace pith {

namespace {

constexpr dim kGroup = 128, kPlane = kGroup / 8;

template <int Bits>
struct Bcq {
  static constexpr dim kBlock = kGroup, kBytes = Bits * (2 + kPlane);
  static constexpr int kLevels = 1 << Bits;
  static constexpr int kRounds = 20;
  struct Grid {
    float alpha[Bits];
  };
  using Vector = std::array<double, Bits>;

  // Levels in ascending order (of equal ones the lower code first), from kLevels on the last again; and their codes.
  struct Table {
    float level[16];
    std::uint8_t code[16];
  };

  static kernels::SearchPlan plan(const RangeSearch& r, bool weighted) { return plan_of(r, weighted, 0, 0); }

  static float value(const Grid& g, std::uint8_t code) {
    float sum = 0;
    for (int p = 0; p < Bits; ++p) sum += code >> p & 1 ? g.alpha[p] : -g.alpha[p];
    return sum;
  }

  static Table table_of(const Grid& g) {
    Table t{};
    for (int c = 0; c < kLevels; ++c) {
      const float v = value(g, std::uint8_t(c));
      int at = c;
      for (; at > 0 && t.level[at - 1] > v; --at) {
        t.level[at] = t.level[at - 1];
        t.code[at] = t.code[at - 1];
      }
      t.level[at] = v;
      t.code[at] = std::uint8_t(c);
    }
    for (int i = kLevels; i < 16; ++i) t.level[i] = t.level[kLevels - 1], t.code[i] = t.code[kLevels - 1];
    return t;
  }

  static void codes(const float* x, const Grid& g, std::uint8_t* out) { codes_of(table_of(g), x, kBlock, out); }
  static void codes_of(const Table& t, const float* x, dim n, std::uint8_t* out) {
    kernels::search_kernels().table_codes(x, n, 1.0f, t.level, out);
    for (dim i = 0; i < n; ++i) out[i] = t.code[std::min<int>(out[i], kLevels - 1)];
  }
  static std::uint8_t code(const Grid& g, float value) {
    const float eight[8] = {value};
    std::uint8_t c[8];
    codes_of(table_of(g), eight, 8, c);
    return c[0];
  }

  static Grid rounded(const Vector& alpha) {
    Grid g;
    for (std::size_t p = 0; p < Bits; ++p)
      g.alpha[p] = f16_to_f32(f32_to_f16(float(std::clamp(alpha[p], -65504.0, 65504.0))));
    return g;
  }

  static Grid even(double most) {
    Vector alpha;
    for (std::size_t p = 0; p < Bits; ++p) alpha[p] = most * double(1 << p) / (kLevels - 1);
    return rounded(alpha);
  }

  // Each plane takes the signs and the mean magnitude of what the planes before it leave of all values but one.
  static Vector greedy(const float* x, const float* w, int planes, dim skip = -1) {
    double rest[kGroup];
    std::copy(x, x + kGroup, rest);
    Vector alpha{};
    for (std::size_t p = 0; p < std::size_t(planes); ++p) {
      double sum = 0, weight = 0;
      for (dim i = 0; i < kGroup; ++i) {
        if (i == skip) continue;
        sum += (w ? double(w[i]) : 1.0) * std::fabs(rest[i]);
        weight += w ? double(w[i]) : 1.0;
      }
      alpha[p] = weight > 0 ? sum / weight : 0;
      for (double& r : rest) r -= r < 0 ? -alpha[p] : alpha[p];
    }
    return alpha;
  }

  // For one value far from the others: two planes of about half of it each, whose difference is the first plane of
  // the others.
  static Vector split(const float* x, const float* w) {
    const auto larger = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
    const dim outlier = std::max_element(x, x + kGroup, larger) - x;
    const Vector others = greedy(x, w, Bits - 1, outlier);
    Vector alpha{};
    double left = std::fabs(double(x[outlier]));
    for (std::size_t p = 1; p + 1 < Bits; ++p) left -= alpha[p + 1] = others[p];
    alpha[0] = 0.5 * (left + others[0]);
    alpha[1] = 0.5 * (left - others[0]);
    return alpha;
  }

  // The alphas with the least weighted squared error for these codes; false where they are not determined.
  static bool least_squares(const float* x, const float* w, const std::uint8_t* codes, Vector& alpha) {
    double weight[kLevels] = {}, moment[kLevels] = {};
    for (dim i = 0; i < kGroup; ++i) {
      const double wi = w ? double(w[i]) : 1.0;
      weight[codes[i]] += wi;
      moment[codes[i]] += wi * double(x[i]);
    }
    double a[Bits][Bits + 1] = {};
    for (int c = 0; c < kLevels; ++c)
      for (int p = 0; p < Bits; ++p) {
        const double sign = c >> p & 1 ? 1.0 : -1.0;
        for (int q = 0; q < Bits; ++q) a[p][q] += weight[c] * (c >> q & 1 ? sign : -sign);
        a[p][Bits] += moment[c] * sign;
      }
    const double least_pivot = 1e-9 * a[0][0];
    for (int p = 0; p < Bits; ++p) {  // symmetric and positive semidefinite: no pivoting
      if (!(a[p][p] > least_pivot)) return false;
      for (int q = p + 1; q < Bits; ++q) {
        const double factor = a[q][p] / a[p][p];
        for (int k = p; k <= Bits; ++k) a[q][k] -= factor * a[p][k];
      }
    }
    for (int p = Bits - 1; p >= 0; --p) {
      double sum = a[p][Bits];
      for (int q = p + 1; q < Bits; ++q) sum -= a[p][q] * alpha[std::size_t(q)];
      alpha[std::size_t(p)] = sum / a[p][p];
    }
    return true;
  }

  struct Found {
    Grid grid{};
    float error = 0;
  };

  static float error(const Grid& g, const float* x, const float* w, float unit, float p) {
    std::uint8_t c[kGroup];
    float y[kGroup];
    const Table t = table_of(g);
    kernels::search_kernels().table_codes(x, kGroup, 1.0f, t.level, c);
    for (dim i = 0; i < kGroup; ++i) y[i] = t.level[std::min<int>(c[i], kLevels - 1)];
    return kernels::search_kernels().distance(x, y, w, kGroup, unit, p);
  }

  static void try_grid(const Grid& g, const float* x, const float* w, float unit, float p, Found& best) {
    const float at = error(g, x, w, unit, p);
    if (at < best.error) best = {g, at};
  }

  // Alternates from one start as long as the codes change.
  static Grid alternate(Grid g, const float* x, const float* w) {
    std::uint8_t before[kGroup], now[kGroup];
    codes(x, g, before);
    for (int round = 0; round < kRounds; ++round) {
      Vector alpha{};
      if (!least_squares(x, w, before, alpha)) break;
      g = rounded(alpha);
      codes(x, g, now);
      if (std::equal(now, now + kGroup, before)) break;
      std::copy(now, now + kGroup, before);
    }
    return g;
  }

  static Grid search(const float* x, const float* weights, const kernels::SearchPlan& plan) {
    const float* w = usable_weights(weights, kGroup);
    const float most = largest_magnitude(x, kGroup);
    const Grid start = even(double(most));
    if (plan.aim == kernels::Aim::minmax || most == 0) return start;
    const float unit = 1.0f / most, p = plan.aim == kernels::Aim::lp ? plan.p : 2.0f;
    Found best = {start, error(start, x, w, unit, p)};
    if (plan.aim == kernels::Aim::lp)
      for (int i = 1; i < plan.steps; ++i)
        try_grid(even(double(most) * (1 - double(i) / (1.25 * plan.steps))), x, w, unit, p, best);
    for (const Grid& from : {rounded(greedy(x, w, Bits)), start, even(0.75 * double(most)), rounded(split(x, w))}) {
      try_grid(from, x, w, unit, p, best);
      try_grid(alternate(from, x, w), x, w, unit, p, best);
    }
    return best.grid;
  }

  static void store(const Grid& g, std::byte* block) {
    for (int p = 0; p < Bits; ++p) store_f16(block + 2 * p, g.alpha[p]);
  }
  static Grid load(const std::byte* block) {
    Grid g;
    for (int p = 0; p < Bits; ++p) g.alpha[p] = load_f16(block + 2 * p);
    return g;
  }

  static std::byte* plane(std::byte* block, int p) { return block + 2 * Bits + p * kPlane; }
  static const std::byte* plane(const std::byte* block, int p) { return block + 2 * Bits + p * kPlane; }

  static void pack(const std::uint8_t* codes, std::byte* block) {
    for (int p = 0; p < Bits; ++p)
      for (dim b = 0; b < kPlane; ++b) {
        unsigned byte = 0;
        for (dim k = 0; k < 8; ++k) byte |= unsigned(codes[8 * b + k] >> p & 1) << k;
        plane(block, p)[b] = std::byte(byte);
      }
  }
  static void set(std::byte* block, dim j, std::uint8_t code) {
    const auto mask = std::byte(1 << (j & 7));
    for (int p = 0; p < Bits; ++p) {
      std::byte& b = plane(block, p)[j >> 3];
      b = code >> p & 1 ? b | mask : b & ~mask;
    }
  }
  static void decode_row(const std::byte* in, dim n, float* out) {
    for (dim i = 0; i < n; i += kBlock, in += kBytes, out += kBlock) {
      const Grid g = load(in);
      float level[kLevels];
      for (int c = 0; c < kLevels; ++c) level[c] = value(g, std::uint8_t(c));
      for (dim b = 0; b < kPlane; ++b)
        for (dim k = 0; k < 8; ++k) {
          unsigned c = 0;
          for (int p = 0; p < Bits; ++p) c |= (std::to_integer<unsigned>(plane(in, p)[b]) >> k & 1) << p;
          out[8 * b + k] = level[c];
        }
    }
  }
};

}  // namespace

extern const Format format_bcq2_g128 =
    BlockCodec<Bcq<2>>::format("bcq2_g128", "2 signs a value, 2 scales per 128 (binary coding)", "kmeans2_row", -1);
extern const Format format_bcq3_g128 =
    BlockCodec<Bcq<3>>::format("bcq3_g128", "3 signs a value, 3 scales per 128 (binary coding)", "kmeans3_row", -1);
extern const Format format_bcq4_g128 =
    BlockCodec<Bcq<4>>::format("bcq4_g128", "4 signs a value, 4 scales per 128 (binary coding)", "kmeans4_row", -1);

}  // namespace pith
