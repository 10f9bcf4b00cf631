#include "ops/kv/level_codes.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "kernels/kv_codes.h"
#include "ops/kv/affine_codes.h"
#include "ops/kv/half_bytes.h"

namespace pith {

namespace {

constexpr dim kOutlierBytes = 4;

// A block seen as its vectors: value i of vector v at x[place(v, i)].
struct Vectors {
  dim count, length, vector_step, value_step;
  explicit Vectors(const KvSide& s, bool channels)
      : count(channels ? s.head_dim : s.tokens),
        length(channels ? s.tokens : s.head_dim),
        vector_step(channels ? 1 : s.head_dim),
        value_step(channels ? s.head_dim : 1) {}
  dim place(dim vector, dim i) const { return vector * vector_step + i * value_step; }
};

// The vectors' values in ascending order, and how many were taken off each end.
class Extremes {
 public:
  Extremes(const Vectors& vectors, const float* x) : vectors_(vectors), x_(x) {
    order_.resize(std::size_t(vectors.count * vectors.length));
    ends_.resize(std::size_t(vectors.count), {0, vectors.length - 1});
    for (dim v = 0; v < vectors.count; ++v) {
      const auto begin = order_.begin() + v * vectors.length;
      for (dim i = 0; i < vectors.length; ++i) begin[i] = vectors.place(v, i);
      std::sort(begin, begin + vectors.length, [&](dim a, dim b) { return x[a] != x[b] ? x[a] < x[b] : a < b; });
    }
    gains_.resize(ends_.size());
    for (dim v = 0; v < vectors.count; ++v) rate(v);
  }
  float low(dim v) const { return at(v, ends_[std::size_t(v)].low); }
  float high(dim v) const { return at(v, ends_[std::size_t(v)].high); }

  // Takes the value away whose absence narrows the squared range of its vector most; its place.
  dim take() {
    const dim v =
        std::max_element(gains_.begin(), gains_.end(), [](const Gain& a, const Gain& b) { return a.gain < b.gain; }) -
        gains_.begin();
    Ends& e = ends_[std::size_t(v)];
    const dim rank = gains_[std::size_t(v)].low ? e.low++ : e.high--;
    rate(v);
    return order_[std::size_t(v * vectors_.length + rank)];
  }

 private:
  struct Ends {
    dim low, high;
  };
  struct Gain {
    double gain;
    bool low;
  };
  float at(dim v, dim rank) const { return x_[order_[std::size_t(v * vectors_.length + rank)]]; }
  void rate(dim v) {
    const Ends e = ends_[std::size_t(v)];
    if (e.high - e.low < 2) {
      gains_[std::size_t(v)] = {-1, false};
      return;
    }
    const auto squared = [&](dim low, dim high) {
      const double range = double(at(v, high)) - double(at(v, low));
      return range * range;
    };
    const double now = squared(e.low, e.high);
    const double without_low = now - squared(e.low + 1, e.high), without_high = now - squared(e.low, e.high - 1);
    gains_[std::size_t(v)] = {std::max(without_low, without_high), without_low > without_high};
  }

  Vectors vectors_;
  const float* x_;
  std::vector<dim> order_;
  std::vector<Ends> ends_;
  std::vector<Gain> gains_;
};

int nearest_level(const float* levels, int count, float value) {
  int best = 0;
  for (int i = 1; i < count; ++i)
    if (value > 0.5f * (levels[i - 1] + levels[i])) best = i;
  return best;
}

// The scale and shift with the least squared error for codes that are chosen; `before` where there is no better one.
ScaleMin refit(const float* levels, const std::vector<int>& codes, const std::vector<float>& values, ScaleMin before) {
  double n = 0, sl = 0, sx = 0, sll = 0, slx = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const double level = double(levels[codes[i]]), x = double(values[i]);
    n += 1;
    sl += level;
    sx += x;
    sll += level * level;
    slx += level * x;
  }
  const double spread = n * sll - sl * sl;
  if (!(spread > 1e-9 * n * n)) return before;
  const double scale = (n * slx - sl * sx) / spread, shift = (sx - scale * sl) / n;
  return {to_finite_half(float(scale)), to_finite_half(float(shift))};
}

struct Parts {  // of a block
  dim header, codes, outliers;
  Parts(const KvSide& s, const Vectors& v)
      : header(4 * v.count), codes(header), outliers(codes + s.tokens * code_bytes(s.head_dim, s.bits)) {}
};

template <bool Channels>
void encode(const KvSide& s, const float* given, std::byte* out) {
  const Vectors vectors(s, Channels);
  const Parts parts(s, vectors);
  std::vector<float> x(given, given + s.tokens * s.head_dim);
  for (float& v : x) v = std::clamp(v, -65504.0f, 65504.0f);
  std::fill_n(out, s.block_bytes, std::byte{});
  Extremes extremes(vectors, x.data());
  std::vector<char> apart(x.size(), 0);
  std::byte* outlier = out + parts.outliers;
  for (dim i = 0; i < s.outliers; ++i, outlier += kOutlierBytes) {
    const dim place = extremes.take();
    apart[std::size_t(place)] = 1;
    const auto index = std::uint16_t(place);
    std::memcpy(outlier, &index, sizeof index);
    store_half(outlier + 2, x[std::size_t(place)]);
  }
  std::vector<int> codes;
  std::vector<float> values;
  for (dim v = 0; v < vectors.count; ++v) {
    const float half = 0.5f * (extremes.high(v) - extremes.low(v)), middle = extremes.low(v) + half;
    ScaleMin fit = {to_finite_half(half), to_finite_half(middle)};
    const float inverse = fit.scale > 0 ? 1 / fit.scale : 0;
    codes.clear();
    values.clear();
    for (dim i = 0; i < vectors.length; ++i) {
      const dim place = vectors.place(v, i);
      if (apart[std::size_t(place)]) continue;
      const int code = nearest_level(s.levels, 1 << s.bits, (x[std::size_t(place)] - fit.min) * inverse);
      codes.push_back(code);
      values.push_back(x[std::size_t(place)]);
      std::byte* row = out + parts.codes + place / s.head_dim * code_bytes(s.head_dim, s.bits);
      put_code(row, place % s.head_dim, s.bits, unsigned(code));
    }
    fit = refit(s.levels, codes, values, fit);
    store_half(out + 2 * v, fit.scale);
    store_half(out + 2 * (vectors.count + v), fit.min);
  }
}

template <bool Channels>
void decode(const KvSide& s, const std::byte* in, float* out, float* scratch) {
  const Vectors vectors(s, Channels);
  const Parts parts(s, vectors);
  float *scale = scratch, *shift = scratch + s.head_dim;
  if (Channels)
    for (dim c = 0; c < 2 * s.head_dim; ++c) scratch[c] = load_half(in + 2 * c);
  for (dim t = 0; t < s.tokens; ++t) {
    if (!Channels) {
      std::fill_n(scale, s.head_dim, load_half(in + 2 * t));
      std::fill_n(shift, s.head_dim, load_half(in + 2 * (s.tokens + t)));
    }
    kernels::kv_kernels().levels_each(in + parts.codes + t * code_bytes(s.head_dim, s.bits), s.head_dim, s.bits,
                                      s.levels, scale, shift, out + t * s.head_dim);
  }
  const std::byte* outlier = in + parts.outliers;
  for (dim i = 0; i < s.outliers; ++i, outlier += kOutlierBytes) {
    std::uint16_t index;
    std::memcpy(&index, outlier, sizeof index);
    out[index] = load_half(outlier + 2);
  }
}

template <bool Channels>
KvSide side_of(dim head_dim, int bits, dim tokens, dim outliers) {
  if (head_dim > 65536 / tokens)
    throw input_error("kv", "expected heads of at most {} for groups of {}, got {}", 65536 / tokens, tokens, head_dim);
  KvSide s;
  s.head_dim = head_dim;
  s.tokens = tokens;
  s.bits = bits;
  const Vectors vectors(s, Channels);
  s.outliers = std::min(outliers, vectors.count * std::max<dim>(0, vectors.length - 2));  // a range is left of each
  s.levels = normal_levels(bits);
  s.block_bytes = Parts(s, vectors).outliers + s.outliers * kOutlierBytes;
  s.encode = encode<Channels>;
  s.decode = decode<Channels>;
  return s;
}

}  // namespace

const float* normal_levels(int bits) {
  static constexpr float kTwo[16] = {-0.6626f, -0.1979f, 0.1979f, 0.6626f};
  static constexpr float kThree[16] = {-0.8810f, -0.5599f, -0.3164f, -0.1028f, 0.1028f, 0.3164f, 0.5599f, 0.8810f};
  static constexpr float kFour[16] = {-0.9692f, -0.7750f, -0.6206f, -0.4881f, -0.3689f, -0.2581f, -0.1530f, -0.0507f,
                                      0.0507f,  0.1530f,  0.2581f,  0.3689f,  0.4881f,  0.6206f,  0.7750f,  0.9692f};
  return bits == 2 ? kTwo : bits == 3 ? kThree : kFour;
}

KvSide level_channels(dim head_dim, int bits, dim tokens, dim outliers) {
  return side_of<true>(head_dim, bits, tokens, outliers);
}
KvSide level_tokens(dim head_dim, int bits, dim tokens, dim outliers) {
  return side_of<false>(head_dim, bits, tokens, outliers);
}

}  // namespace pith
