// e8p: 8 values at once are a point of the lattice E8 moved by a quarter, 2 bits a value (the codebook of QuIP#,
// arXiv:2402.04396, derived anew). One scale for a row, so it is for rows without outliers: of turned matrices.
//   0        2                                           value = scale * (sign * magnitude + shift)
//   | scale, f16 | per 8 values: pattern u8 | bits 0-6: signs, bit 7: shift is -1/4, not 1/4 |
// A pattern is 8 halves of odd numbers: all 227 of a squared norm up to 10, and 29 of the 56 of norm 12 that are five
// 3/2 beside three 1/2. The eighth sign makes the sum of the point an even number.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/half.h"
#include "formats/format.h"

namespace pith {

namespace {

constexpr dim kGroup = 8, kHead = 2;
constexpr int kPatterns = 256;
// What the scale is, in root mean squares, for the least error of normal values.
constexpr double kNormalScale = 0.98;
constexpr float kEdge = 2.25f;  // the largest value that stands beside values near 0
constexpr float kFar = 64;      // beyond all points; keeps products finite

struct Patterns {
  float row[kPatterns][kGroup];     // by pattern
  float column[kGroup][kPatterns];  // by coordinate
  bool odd[kPatterns];              // the sum of the magnitudes
  std::int16_t at[6561];            // by magnitudes 1/2, 3/2, 5/2 as digits, the first coordinate's first; -1: none
  float turns[2][kPatterns];        // 2 where an even, an odd number of signs is not allowed, else 0
  Patterns() {
    std::fill_n(at, 6561, std::int16_t(-1));
    int count = 0, far = 0;
    std::array<int, kGroup> twice = {};  // of a magnitude
    const auto all = [&](const auto& self, std::size_t i, int sum) -> void {
      if (i < kGroup) {
        for (int m = 1; sum + m * m + int(kGroup - 1 - i) <= 48; m += 2) {
          twice[i] = m;
          self(self, i + 1, sum + m * m);
        }
        return;
      }
      const bool five = sum == 48 && *std::max_element(twice.begin(), twice.end()) == 3;
      if (sum > 40 && !(five && far++ < 29)) return;
      int key = 0;
      for (std::size_t k = 0; k < kGroup; ++k) {
        row[count][k] = column[k][count] = 0.5f * float(twice[k]);
        key = 3 * key + twice[k] / 2;
      }
      at[key] = std::int16_t(count);
      odd[count] = std::accumulate(twice.begin(), twice.end(), 0) / 2 % 2 != 0;
      for (const int signs : {0, 1}) turns[signs][count] = (signs != 0) != odd[count] ? 2.0f : 0.0f;
      ++count;
    };
    all(all, 0, 0);
  }
};

const Patterns& patterns() {
  static const Patterns all;
  return all;
}

struct Code {
  std::uint8_t pattern = 0, signs = 0;  // signs: of all 8
  bool down = false;
};

float shift_of(bool down) { return down ? -0.25f : 0.25f; }

float point_of(const Code& c, dim i) {
  const float magnitude = patterns().row[c.pattern][i];
  return (c.signs >> i & 1 ? -magnitude : magnitude) + shift_of(c.down);
}

Code code_at(const std::byte* at) {
  Code c;
  c.pattern = std::to_integer<std::uint8_t>(at[0]);
  const auto rest = std::to_integer<unsigned>(at[1]);
  const unsigned seven = rest & 127;
  const bool odd = __builtin_parity(seven) != int(patterns().odd[c.pattern]);
  c.signs = std::uint8_t(seven | unsigned(odd) << 7);
  c.down = rest >> 7 != 0;
  return c;
}

void store_code(const Code& c, std::byte* at) {
  at[0] = std::byte(c.pattern);
  at[1] = std::byte((c.signs & 127) | int(c.down) << 7);
}

// A turned sign changes the sum by an odd number.
bool allowed(const Code& c) { return __builtin_parity(c.signs) == int(patterns().odd[c.pattern]); }

// Of 8 values in units of the scale, by the sum of weights * error^2; w: the largest is 1.
class Search {
 public:
  Search(const float* x, const float* w) : x_(x), w_(w) {}
  Code run() {
    Code near[2];
    float cost[2];
    bool known[2];
    for (const bool down : {false, true}) known[down] = of_lattice(down, near[down], cost[down]);
    const bool first = cost[1] < cost[0];
    if (known[first]) return near[first];  // nothing of the other half is nearer
    measure(false);
    measure(true);
    return best_;
  }

 private:
  // The nearest point of the whole lattice, and whether it has a code: coordinate by coordinate, and where the sum is
  // odd the one that costs least goes to its second nearest place.
  bool of_lattice(bool down, Code& code, float& cost) const {
    float place[kGroup], least = 3e38f;
    cost = 0;
    int sum = 0;
    dim other = 0;
    for (dim i = 0; i < kGroup; ++i) {
      const float u = x_[i] - shift_of(down), whole = std::floor(u), e = u - whole - 0.5f;
      place[i] = whole + 0.5f;
      sum += int(whole);
      cost += w_[i] * e * e;
      const float more = w_[i] * (1 - 2 * std::fabs(e));
      if (more < least) least = more, other = i;
    }
    if (sum % 2 != 0) {  // the halves add up to 4
      const float u = x_[other] - shift_of(down);
      place[other] += u >= place[other] ? 1.0f : -1.0f;
      cost += least;
    }
    int key = 0;
    code = {0, 0, down};
    for (dim i = 0; i < kGroup; ++i) {
      const int digit = int(std::fabs(place[i]));
      if (digit > 2) return false;
      key = 3 * key + digit;
      code.signs = std::uint8_t(code.signs | unsigned(place[i] < 0) << i);
    }
    code.pattern = std::uint8_t(patterns().at[key]);
    return patterns().at[key] >= 0;
  }

  void measure(bool down) {
    const Patterns& all = patterns();
    float size[kGroup];
    unsigned signs = 0;
    for (dim i = 0; i < kGroup; ++i) {
      const float u = x_[i] - shift_of(down);
      size[i] = std::fabs(u);
      signs |= unsigned(std::signbit(u)) << i;
    }
    // Less the weighted squares of the sizes, which all have: w p^2 - 2 w size p, and what turning a sign costs.
    float cost[kPatterns] = {}, turn[kPatterns];
    std::fill_n(turn, kPatterns, 3e38f);
    float base = 0;
    for (dim i = 0; i < kGroup; ++i) {
      const float w = w_[i], pull = 2 * w * size[i];
      base += w * size[i] * size[i];
      const float* column = all.column[i];
      for (int p = 0; p < kPatterns; ++p) {
        const float pulled = pull * column[p];
        cost[p] += w * column[p] * column[p] - pulled;
        turn[p] = pulled < turn[p] ? pulled : turn[p];
      }
    }
    const float* turns = all.turns[__builtin_parity(signs)];
    for (int p = 0; p < kPatterns; ++p) cost[p] += base + turns[p] * turn[p];
    for (int p = 0; p < kPatterns; ++p) {
      if (cost[p] >= least_) continue;
      least_ = cost[p];
      best_ = {std::uint8_t(p), std::uint8_t(turns[p] > 0 ? signs ^ 1u << cheapest(p, size) : signs), down};
    }
  }

  dim cheapest(int p, const float* size) const {
    dim best = 0;
    float least = 3e38f;
    for (dim i = 0; i < kGroup; ++i) {
      const float cost = w_[i] * size[i] * patterns().row[p][i];
      if (cost < least) least = cost, best = i;
    }
    return best;
  }

  const float *x_, *w_;
  float least_ = 3e38f;
  Code best_;
};

// values: count <= 8; the rest of the group weighs nothing.
Code nearest(const float* values, const float* weights, dim count, float scale) {
  float x[kGroup] = {}, w[kGroup] = {}, most = 0;
  for (dim i = 0; i < count; ++i) {
    x[i] = scale != 0 ? std::clamp(values[i] / scale, -kFar, kFar) : 0;
    most = std::max(most, weights ? weights[i] : 1);
  }
  for (dim i = 0; i < count; ++i) w[i] = weights && most > 0 ? weights[i] / most : 1;
  return Search(x, w).run();
}

dim groups_of(dim n) { return (n + kGroup - 1) / kGroup; }
dim bytes_of(const Format&, dim n) { return n == 0 ? 0 : kHead + 2 * groups_of(n); }

float load_scale(const std::byte* row) {
  std::uint16_t bits;
  std::memcpy(&bits, row, sizeof bits);
  return f16_to_f32(bits);
}
float store_scale(double scale, std::byte* row) {
  const std::uint16_t bits = f32_to_f16(float(std::min(scale, 65504.0)));
  std::memcpy(row, &bits, sizeof bits);
  return f16_to_f32(bits);
}

void decode(const Format&, const std::byte* in, dim n, float* out) {
  if (n == 0) return;
  const float scale = load_scale(in);
  for (dim i = 0; i < n; i += kGroup) {
    const Code c = code_at(in + kHead + i / kGroup * 2);
    for (dim k = 0; k < std::min(kGroup, n - i); ++k) out[i + k] = scale * point_of(c, k);
  }
}

// A row's codes on one scale, what they cost, and the scale that would suit them best.
struct Trial {
  double cost = 0, better_scale = 0;
};
Trial encode_with(const float* x, const float* w, dim n, double scale, double p, std::byte* row) {
  const float s = store_scale(scale, row);
  double error = 0, product = 0, square = 0;
  for (dim i = 0; i < n; i += kGroup) {
    const dim count = std::min(kGroup, n - i);
    const Code c = nearest(x + i, w ? w + i : nullptr, count, s);
    store_code(c, row + kHead + i / kGroup * 2);
    for (dim k = 0; k < count; ++k) {
      const double point = double(point_of(c, k)), weight = w ? double(w[i + k]) : 1, value = double(x[i + k]);
      const double e = std::fabs(value - double(s) * point);
      error += weight * (p == 2 ? e * e : std::pow(e, p));
      product += weight * value * point;
      square += weight * point * point;
    }
  }
  return {error, square > 0 ? product / square : 0};
}

void encode(const Format&, const float* x, const float* w, dim n, const RangeSearch& r, std::byte* out) {
  if (n == 0) return;
  if (w && std::all_of(w, w + n, [](float v) { return v <= 0; })) w = nullptr;
  double most = 0, squares = 0;
  for (dim i = 0; i < n; ++i) {
    most = std::max(most, std::fabs(double(x[i])));
    squares += double(x[i]) * double(x[i]);
  }
  const bool lp = r.kind == RangeSearch::Kind::lp;
  const double p = lp ? r.p : 2, start = most / double(kEdge);
  double best = start;
  Trial least = encode_with(x, w, n, start, p, out);
  const auto attempt = [&](double scale) {
    const Trial t = encode_with(x, w, n, scale, p, out);
    if (t.cost < least.cost) least = t, best = scale;
  };
  for (int i = 1; lp && i < r.steps; ++i) attempt(start * (1 - double(i) / (1.25 * r.steps)));
  if (r.kind == RangeSearch::Kind::best) {
    attempt(kNormalScale * std::sqrt(squares / double(n)));
    attempt(std::fabs(least.better_scale));
  }
  encode_with(x, w, n, best, p, out);
}

// Other patterns and the one sign that leave the group's other values where they are.
float put(const Format&, std::byte* row, dim, dim j, float value) {
  const float scale = load_scale(row);
  std::byte* at = row + kHead + j / kGroup * 2;
  const dim own = j % kGroup;
  const Code now = code_at(at);
  Code best = now;
  float least = std::fabs(scale * point_of(now, own) - value);
  for (int p = 0; p < kPatterns; ++p) {
    bool same = true;
    for (dim i = 0; i < kGroup && same; ++i) same = i == own || patterns().row[p][i] == patterns().row[now.pattern][i];
    for (int flip = 0; same && flip < 2; ++flip) {
      const Code c{std::uint8_t(p), std::uint8_t(now.signs ^ flip << own), now.down};
      const float error = std::fabs(scale * point_of(c, own) - value);
      if (allowed(c) && error < least) least = error, best = c;
    }
  }
  store_code(best, at);
  return scale * point_of(best, own);
}

void put_group(const Format&, std::byte* row, dim n, dim j, const float* values, const float* weights, float* decoded) {
  const float scale = load_scale(row);
  const dim count = std::min(kGroup, n - j);
  const Code c = nearest(values, weights, count, scale);
  store_code(c, row + kHead + j / kGroup * 2);
  for (dim i = 0; i < count; ++i) decoded[i] = scale * point_of(c, i);
}

}  // namespace

extern const Format format_e8p;
const Format format_e8p{
    "e8p",      "2 bits: 8 values are a point of the lattice E8; one scale a row; for turned matrices (quip)",
    0,          0,
    "",         -1,
    IntGroup{}, bytes_of,
    decode,     encode,
    encode,     put,
    kGroup,     kGroup,
    put_group};

}  // namespace pith
