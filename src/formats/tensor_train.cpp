// Rows as tensor trains (TensorGPT, arXiv:2307.00526; TT-SVD: Oseledets 2011, doi:10.1137/090752286): the n values of a
// row become a tensor with a side per prime factor of n, and that a chain of cores (rank before, side, rank after)
// whose ranks are capped. A row is a float32 factor and the cores one after another in float16.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "formats/block_codec.h"
#include "formats/format.h"

namespace pith {

namespace {

struct Train {
  std::vector<dim> sides, ranks;  // core k: (ranks[k], sides[k], ranks[k + 1])
  dim values() const {
    dim sum = 0;
    for (std::size_t k = 0; k < sides.size(); ++k) sum += ranks[k] * sides[k] * ranks[k + 1];
    return sum;
  }
};

// Sides ascend, so that ranks can grow before the wide ones come.
Train train_of(dim n, dim cap) {
  Train out;
  dim left = n;
  for (dim p = 2; p * p <= left; ++p)
    for (; left % p == 0; left /= p) out.sides.push_back(p);
  if (left > 1 || out.sides.empty()) out.sides.push_back(left);
  dim before = 1;
  for (const dim side : out.sides) {
    out.ranks.push_back(std::min({cap, before, n / before}));
    before *= side;
  }
  out.ranks.push_back(1);
  return out;
}

using Values = std::vector<double>;

// Eigenvectors of a symmetric matrix (n, n), in columns, from the largest value down: cyclic Jacobi rotations.
Values eigenvectors(Values a, dim n) {
  const auto at = [n](Values& m, dim r, dim c) -> double& { return m[std::size_t(r * n + c)]; };
  Values v(std::size_t(n * n));
  for (dim i = 0; i < n; ++i) at(v, i, i) = 1;
  for (int sweep = 0; sweep < 30; ++sweep) {
    double off = 0, all = 0;
    for (dim r = 0; r < n; ++r)
      for (dim c = 0; c < n; ++c) (r == c ? all : off) += at(a, r, c) * at(a, r, c);
    if (off <= 1e-30 * all) break;
    for (dim p = 0; p + 1 < n; ++p)
      for (dim q = p + 1; q < n; ++q) {
        if (std::abs(at(a, p, q)) <= std::numeric_limits<double>::min()) continue;
        const double theta = (at(a, q, q) - at(a, p, p)) / (2 * at(a, p, q));
        const double t = std::copysign(1 / (std::abs(theta) + std::hypot(theta, 1)), theta);
        const double cosine = 1 / std::hypot(t, 1), sine = t * cosine;
        const auto turn = [&](double& x, double& y) {
          const double before = x;
          x = cosine * before - sine * y;
          y = sine * before + cosine * y;
        };
        for (dim k = 0; k < n; ++k) turn(at(a, k, p), at(a, k, q));
        for (dim k = 0; k < n; ++k) turn(at(a, p, k), at(a, q, k));
        for (dim k = 0; k < n; ++k) turn(at(v, k, p), at(v, k, q));
      }
  }
  std::vector<dim> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), dim(0));
  std::stable_sort(order.begin(), order.end(), [&](dim x, dim y) { return at(a, x, x) > at(a, y, y); });
  Values out(v.size());
  for (dim c = 0; c < n; ++c)
    for (dim r = 0; r < n; ++r) at(out, r, c) = at(v, r, order[std::size_t(c)]);
  return out;
}

// The `rank` directions of the rows of m (rows, cols) that hold most of it, (rows, rank); m becomes what they see of
// it.
Values split(Values& m, dim rows, dim rank) {
  const dim cols = dim(m.size()) / rows;
  Values square(std::size_t(rows * rows));
  for (dim r = 0; r < rows; ++r)
    for (dim s = 0; s < rows; ++s)
      for (dim c = 0; c < cols; ++c)
        square[std::size_t(r * rows + s)] += m[std::size_t(r * cols + c)] * m[std::size_t(s * cols + c)];
  const Values vectors = eigenvectors(std::move(square), rows);
  Values core(std::size_t(rows * rank)), rest(std::size_t(rank * cols));
  for (dim r = 0; r < rows; ++r)
    for (dim k = 0; k < rank; ++k) {
      const double u = vectors[std::size_t(r * rows + k)];
      core[std::size_t(r * rank + k)] = u;
      for (dim c = 0; c < cols; ++c) rest[std::size_t(k * cols + c)] += u * m[std::size_t(r * cols + c)];
    }
  m = std::move(rest);
  return core;
}

std::byte* store(const Values& core, std::byte* out) {
  for (const double v : core) {
    store_f16(out, float(v));
    out += 2;
  }
  return out;
}

void encode_train(const Train& train, const float* x, dim n, std::byte* out) {
  float most = 0;
  for (dim i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  Values m(x, x + n);
  if (most > 0)
    for (double& v : m) v /= double(most);
  std::byte* to = out + sizeof(float);
  for (std::size_t k = 0; k + 1 < train.sides.size(); ++k)
    to = store(split(m, train.ranks[k] * train.sides[k], train.ranks[k + 1]), to);
  double last = 0;
  for (const double v : m) last = std::max(last, std::abs(v));
  if (last > 0)
    for (double& v : m) v /= last;
  store(m, to);
  const double top = double(std::numeric_limits<float>::max());
  const auto factor = float(std::min(last * double(most), top));
  std::memcpy(out, &factor, sizeof factor);
}

void decode_train(const Train& train, const std::byte* in, dim n, float* out) {
  float factor = 0;
  std::memcpy(&factor, in, sizeof factor);
  in += sizeof factor;
  Values chain = {double(factor)};  // (values so far, rank)
  for (std::size_t k = 0; k < train.sides.size(); ++k) {
    const dim before = train.ranks[k], wide = train.sides[k] * train.ranks[k + 1], rows = dim(chain.size()) / before;
    Values next(std::size_t(rows * wide));
    for (dim b = 0; b < before; ++b)
      for (dim j = 0; j < wide; ++j, in += 2) {
        const auto core = double(load_f16(in));
        for (dim r = 0; r < rows; ++r) next[std::size_t(r * wide + j)] += chain[std::size_t(r * before + b)] * core;
      }
    chain = std::move(next);
  }
  const double top = double(std::numeric_limits<float>::max());
  for (dim i = 0; i < n; ++i) out[i] = float(std::clamp(chain[std::size_t(i)], -top, top));
}

template <dim kCap>
constexpr Format train_format(std::string_view name, std::string_view summary) {
  return {
      .name = name,
      .summary = summary,
      .block = 0,
      .block_bytes = 0,
      .fallback = {},
      .gguf_type = -1,
      .int_group = {},
      .bytes_of = [](const Format&, dim n) { return dim(sizeof(float)) + 2 * train_of(n, kCap).values(); },
      .decode = [](const Format&, const std::byte* in, dim n,
                   float* out) { decode_train(train_of(n, kCap), in, n, out); },
      .encode = [](const Format&, const float* x, const float*, dim n, const RangeSearch&,
                   std::byte* out) { encode_train(train_of(n, kCap), x, n, out); },
      .fit = [](const Format&, const float* x, const float*, dim n, const RangeSearch&,
                std::byte* out) { encode_train(train_of(n, kCap), x, n, out); },
      // No value can move alone.
      .put =
          [](const Format&, std::byte* row, dim n, dim j, float) {
            std::vector<float> out(static_cast<std::size_t>(n));
            decode_train(train_of(n, kCap), row, n, out.data());
            return out[std::size_t(j)];
          },
      .joint = kCap,
  };
}

}  // namespace

#define PITH_TRAIN(CAP)                              \
  extern const Format format_tt_r##CAP;              \
  const Format format_tt_r##CAP = train_format<CAP>( \
      "tt_r" #CAP, "each row a tensor train of ranks up to " #CAP ", float16 cores: for embeddings (TensorGPT)");
PITH_TRAIN(2)
PITH_TRAIN(4)
PITH_TRAIN(8)
PITH_TRAIN(16)
#undef PITH_TRAIN

}  // namespace pith
